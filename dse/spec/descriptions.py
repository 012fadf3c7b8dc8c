"""What the docstrings of spec fields say: the texts of the JSON Schema, and of values that a file leaves out."""

from __future__ import annotations

import ast
import inspect
import sys
from functools import cache
from itertools import pairwise


@cache
def field_descriptions(spec_class: type) -> dict[str, str]:
    """Docstring of each field of a class, those of its parents included."""
    parent = spec_class.__base__
    found = dict(field_descriptions(parent)) if parent is not None and parent is not object else {}
    tree = ast.parse(inspect.getsource(sys.modules[spec_class.__module__]))
    body = next(n.body for n in tree.body if isinstance(n, ast.ClassDef) and n.name == spec_class.__name__)
    for field, text in pairwise(body):
        is_text = isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
        if is_text and isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            assert isinstance(text, ast.Expr)
            assert isinstance(text.value, ast.Constant)
            found[field.target.id] = inspect.cleandoc(str(text.value.value))
    return found
