import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tina.providers.reports import Report, read_body, read_error

ERRORS: list[tuple[object, Report]] = [
    (None, Report()),
    (7, Report()),
    ([], Report()),
    ({}, Report()),
    ("a\nb", Report(message="a b")),
    ([{"error": "first"}, {"error": "second"}], Report(message="first")),
    ({"error": None, "message": "x"}, Report(message="x")),
    (
        {"message": "x", "type": "t", "code": "c"},
        Report(message="x", type="t", code="c"),
    ),
    ({"code": 400, "type": "t"}, Report(status=400, type="t")),
    ({"code": "429"}, Report(status=429)),
    ({"code": 200}, Report()),
    ({"code": True, "status": 4.5}, Report()),
    ({"code": "4291", "status_code": "503"}, Report(status=503)),
    (
        {"type": "error", "status": 400, "error": {"code": "c"}},
        Report(status=400, code="c"),
    ),
    (
        {"status": 500, "error": {"status": 404}, "request_id": "r"},
        Report(status=404, request_id="r"),
    ),
    ({"error": {"error": {"error": "deep"}}}, Report(message="deep")),
    ({"error": {"error": {"error": {"error": {"error": {"error": "x"}}}}}}, Report()),
    ({"message": "x", "param": "top_p"}, Report(message="x", param="top_p")),
    ({"param": ["top_p"]}, Report()),
    (
        {"detail": [{"loc": ["body", 0, "top_p"], "msg": "extra"}]},
        Report(message="extra", param="body.top_p"),
    ),
    ({"error": "invalid", "message": "The sentence."}, Report(message="The sentence.")),
    ({"error": "x", "request_id": "r"}, Report(message="x", request_id="r")),
    (
        {"type": "t", "code": "wide", "details": {"error_code": "narrow"}},
        Report(type="t", code="narrow"),
    ),
    ({"code": "wide", "details": {"error_code": 7}}, Report(code="wide")),
    ({"code": "wide", "details": ["x"]}, Report(code="wide")),
    ({"detail": [{"msg": "field required"}]}, Report(message="field required")),
    ({"detail": ["x"]}, Report()),
    ({"message": 7, "detail": "x"}, Report(message="x")),
    ({"n_prompt_tokens": 9, "n_ctx": 8}, Report(prompt_tokens=9, window_tokens=8)),
    ({"n_prompt_tokens": "9", "n_ctx": True}, Report()),
    ({"request_id": 7}, Report()),
]


@pytest.mark.parametrize(("error", "report"), ERRORS)
def test_every_shape_becomes_one(error: object, report: Report) -> None:
    assert read_error(error) == report
    assert read_body(msgspec.json.encode(error)) == report


BODIES = [
    (b"", Report()),
    (b"<html>500</html>", Report()),
    (b"plain \xff words", Report(message="plain \ufffd words")),
    (b'\n\n {"error":"x"} ', Report(message="x")),
    (rb'{"error":"half \ud800 pair"}', Report(message="half \ufffd pair")),
    (b"[" * 100_000, Report(message="\u2026")),
    (b'{"code":' + b"1" * 5_000 + b"}", Report(message="\u2026")),
]


@pytest.mark.parametrize(("body", "report"), BODIES)
def test_a_body_of_any_kind_is_read(body: bytes, report: Report) -> None:
    assert read_body(body) == report


def test_words_are_those_that_were_said() -> None:
    assert read_error({"type": "a", "code": "b"}).words == {"a", "b"}
    assert read_error({"type": "a", "code": ""}).words == {"a"}
    assert read_error(None).with_status(404) == Report(status=404)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "message", "code", "type", "detail", "status"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_no_error_breaks_the_reader(error: object) -> None:
    report = read_error(error)

    assert report.status == 0 or 400 <= report.status < 600
    assert len(report.message) <= 500
    assert "\n" not in f"{report.message}{report.code}{report.type}"
