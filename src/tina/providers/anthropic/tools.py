"""Tools: Tina's own, those that run at the provider, and which of them has to be used.

Pure.

Source: Anthropic API reference, "Messages", tools and tool_choice; documentation, "Web
search tool", "Web fetch tool", "Code execution tool".
"""

from tina.domain.chat import ChatRequest
from tina.domain.text import clean_text
from tina.domain.tools import HostedTool, ToolMode
from tina.providers.anthropic.schemas import tool_schema
from tina.providers.lenient import Wire

HOSTED_TOOLS = (
    HostedTool(name="web_search", description="Searches the web."),
    HostedTool(name="web_fetch", description="Reads pages and PDFs of the web."),
    HostedTool(name="code_execution", description="Runs code in a sandbox."),
)
_TYPES = {
    "web_search": "web_search_20260318",
    "web_fetch": "web_fetch_20260318",
    "code_execution": "code_execution_20260521",
}
_MODES = {
    ToolMode.AUTO: "auto",
    ToolMode.NONE: "none",
    ToolMode.REQUIRED: "any",
}


def encode_tools(request: ChatRequest, *, has_hosted: bool) -> list[Wire]:
    """All tools of a request, in its order.

    Raises:
        InvalidInputFailure: the schema of one is no JSON object.
    """
    own: list[Wire] = [
        {
            "name": clean_text(tool.name),
            "description": clean_text(tool.description),
            "input_schema": tool_schema(tool.schema, tool=tool.name),
        }
        for tool in request.tools
    ]
    wanted = dict.fromkeys(request.options.hosted_tools) if has_hosted else {}
    hosted: list[Wire] = [
        {"type": _TYPES[name], "name": name} for name in wanted if name in _TYPES
    ]
    return [*own, *hosted]


def is_forced(request: ChatRequest) -> bool:
    """Whether the model has no choice but to call a tool."""
    choice = request.tool_choice
    if choice is None or not request.tools:
        return False
    return choice.mode is ToolMode.REQUIRED or choice.tool is not None


def encode_choice(request: ChatRequest, *, may_force: bool) -> Wire | None:
    """Which tool has to be used; None leaves it to the model.

    Args:
        request: one that has tools.
        may_force: whether the model can be forced; if not, it is left the choice.
    """
    choice = request.tool_choice
    wire: Wire
    if choice is None or (is_forced(request) and not may_force):
        wire = {"type": "auto"}
    elif choice.tool is not None:
        wire = {"type": "tool", "name": clean_text(choice.tool)}
    else:
        wire = {"type": _MODES[choice.mode]}
    if not request.has_parallel_calls and wire["type"] != "none":
        wire["disable_parallel_tool_use"] = True
    return None if wire == {"type": "auto"} else wire
