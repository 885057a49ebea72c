"""Salvage: what can still be read in a damaged file, saved into a new one."""

from tina.database.salvage.rescue import LeftOut, Salvaged, salvage

__all__ = ["LeftOut", "Salvaged", "salvage"]
