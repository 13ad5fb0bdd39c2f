"""The reasons that are written down in the code, found by reading it: also those that come from constants, tuples and
functions.

What a reason is made of is followed to where it is written: names to their assignments, calls to what the function
returns, formatted texts to their parts. `7` stands for what is filled in. What leads to no text of Huoyan's own is
reported as such, so that nothing can be given unseen.
"""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

SINK = "reason"
_FILLED = "7"
_MOST_TEXTS = 200
_Function = ast.FunctionDef | ast.AsyncFunctionDef


class Foreign(Exception):
    """An expression that is no text of Huoyan's own."""


@dataclass
class Module:
    """One file."""

    name: str
    tree: ast.Module
    functions: dict[str, list[_Function]] = field(default_factory=dict)
    constants: dict[str, ast.expr] = field(default_factory=dict)
    imported: dict[str, str] = field(default_factory=dict)
    within: dict[ast.AST, _Function] = field(default_factory=dict)


class Written:
    """Everything that a folder of sources gives as a reason.

    Args:
        root: The folder that the package is in.
        paths: The files that are read for reasons; others are read for the constants and functions they give.
    """

    def __init__(self, root: Path, paths: Iterable[Path]) -> None:
        self._root = root
        self._modules: dict[str, Module | None] = {}
        self._at_work: set[ast.AST] = set()
        self.texts: set[str] = set()
        self.foreign: set[tuple[str, str]] = set()
        modules = [module for path in paths if (module := self._module(self._name(path))) is not None]
        self._methods = dict(_positions(modules, methods=True))
        for module in modules:
            for node in ast.walk(module.tree):
                for value in self._given(node, module):
                    self._take(value, module)

    def _given(self, node: ast.AST, module: Module) -> Iterator[ast.expr]:
        """Give what a node says is a reason."""
        match node:
            case ast.keyword(arg="reason", value=value):
                yield value
            case ast.Call(func=func, args=args):
                place = self._place(func, module)
                if place is not None and len(args) > place and not any(isinstance(a, ast.Starred) for a in args):
                    yield args[place]
            case ast.Dict(keys=keys, values=values):
                for key, value in zip(keys, values, strict=True):
                    if isinstance(key, ast.Constant) and key.value == SINK:
                        yield value
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    yield from _assigned(target, value, SINK)

    def _place(self, func: ast.expr, module: Module) -> int | None:
        """Return the place of the reason among what a function, record or method is called with."""
        if not isinstance(func, ast.Name):
            return self._methods.get(_last(func))
        dotted = module.imported.get(func.id, f"{module.name}.{func.id}")
        while (found := self._module(dotted.rpartition(".")[0])) is not None:
            name = dotted.rpartition(".")[2]
            if name not in found.imported:
                return dict(_positions([found], methods=False)).get(name)
            dotted = found.imported[name]  # handed on by a package
        return None

    def _take(self, value: ast.expr, module: Module) -> None:
        scope = next((module.within[each] for each in ast.walk(value) if each in module.within), None)
        try:
            self.texts.update(self._resolved(value, module, scope))
        except Foreign:
            self.foreign.add((module.name, ast.unparse(value)))

    def _resolved(self, node: ast.expr, module: Module, scope: _Function | None) -> set[str]:
        """Return the texts that an expression can be."""
        match node:
            case ast.Constant(value=str(text)):
                return {text}
            case ast.Constant() | ast.Attribute(attr="reason"):
                # No text at all; or a reason that is read, which was written somewhere else.
                return set()
            case ast.JoinedStr(values=values):
                parts = [self._part(part, module, scope) for part in values]
                return {"".join(each) for each in product(*parts)}
            case ast.IfExp(body=body, orelse=orelse):
                return self._any([body, orelse], module, scope)
            case ast.BoolOp(values=values):
                return self._any(values, module, scope)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                pairs = product(self._part(left, module, scope), self._part(right, module, scope))
                return {before + after for before, after in pairs}
            case ast.Name(id=name):
                return self._named(name, module, scope)
            case ast.Attribute(value=ast.Name(id=name), attr=constant) if name in module.imported:
                return self._imported(f"{module.imported[name]}.{constant}")
            case ast.Call(func=func):
                return self._called(func, module, None)
            case ast.Subscript(value=ast.Call(func=func), slice=ast.Constant(value=int(place))):
                return self._called(func, module, place)
        raise Foreign

    def _any(self, nodes: Iterable[ast.expr], module: Module, scope: _Function | None) -> set[str]:
        return {text for node in nodes for text in self._resolved(node, module, scope)}

    def _part(self, node: ast.expr, module: Module, scope: _Function | None) -> list[str]:
        """Return what a part of a text can be; what is no text of ours is filled in."""
        value = node.value if isinstance(node, ast.FormattedValue) else node
        try:
            found = self._resolved(value, module, scope)
        except Foreign:
            found = {_FILLED}
        return sorted(found) if 0 < len(found) <= _MOST_TEXTS else [_FILLED]

    def _named(self, name: str, module: Module, scope: _Function | None) -> set[str]:
        if scope is not None:
            if name in _parameters(scope):
                if name == SINK:
                    # What callers give, which is looked at where they give it.
                    return set()
                raise Foreign
            found: set[str] = set()
            seen = False
            for node in ast.walk(scope):
                for value, place in _values_of(node, name):
                    seen = True
                    # What a name is when it is added to is one of its other values.
                    if node not in self._at_work:
                        self._at_work.add(node)
                        try:
                            found |= self._placed(value, module, scope, place)
                        finally:
                            self._at_work.discard(node)
            if seen:
                return found
        if name in module.constants:
            return self._resolved(module.constants[name], module, None)
        if name in module.imported:
            return self._imported(module.imported[name])
        raise Foreign

    def _placed(self, value: ast.expr, module: Module, scope: _Function | None, place: int | None) -> set[str]:
        """Return what an expression can be, or what stands at `place` of the tuple that it is."""
        match value:
            case _ if place is None:
                return self._resolved(value, module, scope)
            case ast.Tuple(elts=elts):
                return self._resolved(elts[place], module, scope)
            case ast.Call(func=func):
                return self._called(func, module, place)
            case ast.IfExp(body=body, orelse=orelse):
                return self._placed(body, module, scope, place) | self._placed(orelse, module, scope, place)
        raise Foreign

    def _called(self, func: ast.expr, module: Module, place: int | None) -> set[str]:
        """Return what a function of ours can return, or the part of it at `place`."""
        name = _last(func)
        functions = module.functions.get(name, [])
        if not functions and isinstance(func, ast.Name) and name in module.imported:
            origin, _, name = module.imported[name].rpartition(".")
        elif not functions and isinstance(func, ast.Attribute) and isinstance(func.value, ast.Name):
            origin = module.imported.get(func.value.id, "")
        else:
            origin = ""
        if origin:
            found = self._module(origin)
            module, functions = (module, []) if found is None else (found, found.functions.get(name, []))
        if not functions:
            raise Foreign
        texts: set[str] = set()
        for function in functions:
            if function in self._at_work:
                continue
            self._at_work.add(function)
            try:
                for node in ast.walk(function):
                    if isinstance(node, ast.Return) and node.value is not None and module.within[node] is function:
                        texts |= self._placed(node.value, module, function, place)
            finally:
                self._at_work.discard(function)
        return texts

    def _imported(self, dotted: str) -> set[str]:
        origin, _, name = dotted.rpartition(".")
        module = self._module(origin)
        if module is None or name not in module.constants:
            raise Foreign
        return self._resolved(module.constants[name], module, None)

    def _name(self, path: Path) -> str:
        parts = path.relative_to(self._root).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    def _module(self, name: str) -> Module | None:
        if name not in self._modules:
            path = self._root.joinpath(*name.split("."))
            path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
            self._modules[name] = _read(name, path) if name and path.is_file() else None
        return self._modules[name]


def _read(name: str, path: Path) -> Module:
    module = Module(name, ast.parse(path.read_text()))
    for node in ast.walk(module.tree):
        if isinstance(node, _Function):
            module.functions.setdefault(node.name, []).append(node)
            # The walk comes to inner functions later, which take what is theirs.
            module.within.update(dict.fromkeys((each for part in node.body for each in ast.walk(part)), node))
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("huoyan"):
            module.imported.update({each.asname or each.name: f"{node.module}.{each.name}" for each in node.names})
    for statement in module.tree.body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            module.constants[statement.targets[0].id] = statement.value
    return module


def _positions(modules: Iterable[Module], *, methods: bool) -> Iterator[tuple[str, int]]:
    """Give the methods, or the functions and records, that take a reason by position, with the place it has there."""
    for module in modules:
        for owner in ast.walk(module.tree) if methods else [module.tree]:
            if not isinstance(owner, ast.ClassDef | ast.Module) or (methods and isinstance(owner, ast.Module)):
                continue
            for node in owner.body:
                if isinstance(node, _Function):
                    names = [each.arg for each in (*node.args.posonlyargs, *node.args.args)]
                    own = names[1:] if names[:1] in (["self"], ["cls"]) else names
                elif isinstance(node, ast.ClassDef) and node.decorator_list:
                    declared = [each.target for each in node.body if isinstance(each, ast.AnnAssign)]
                    own = [each.id for each in declared if isinstance(each, ast.Name)]
                else:
                    continue
                if SINK in own and node.name != "__init__":
                    yield node.name, own.index(SINK)


def _parameters(function: _Function) -> set[str]:
    args = function.args
    return {each.arg for each in (*args.posonlyargs, *args.args, *args.kwonlyargs)}


def _values_of(node: ast.AST, name: str) -> Iterator[tuple[ast.expr, int | None]]:
    """Give what a statement assigns to a name, with the place in it where it assigns several."""
    match node:
        case ast.Assign(targets=targets, value=value):
            for target in targets:
                if isinstance(target, ast.Name) and target.id == name:
                    yield value, None
                elif isinstance(target, ast.Tuple):
                    places = [n for n, each in enumerate(target.elts) if isinstance(each, ast.Name) and each.id == name]
                    yield from ((value, place) for place in places)
        case ast.AnnAssign(target=ast.Name(id=found), value=value) if found == name and value is not None:
            yield value, None
        case ast.AugAssign(target=ast.Name(id=found), value=value) if found == name:
            yield ast.BinOp(ast.Name(name), ast.Add(), value), None
        case ast.NamedExpr(target=ast.Name(id=found), value=value) if found == name:
            yield value, None
        case ast.For(target=target) | ast.comprehension(target=target):
            if any(isinstance(each, ast.Name) and each.id == name for each in ast.walk(target)):
                yield target, None


def _assigned(target: ast.expr, value: ast.expr, name: str) -> Iterator[ast.expr]:
    """Give what is assigned to `name`, `….name` or `…["name"]`."""
    if isinstance(target, ast.Tuple):
        for place, each in enumerate(target.elts):
            if _last(each) == name:
                yield value.elts[place] if isinstance(value, ast.Tuple) else ast.Subscript(value, ast.Constant(place))
    elif _last(target) == name:
        yield value


def _last(node: ast.expr) -> str:
    """Return the last name of an expression: of `a.b` it is `b`, of `a["b"]` it is `b`."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Subscript(slice=ast.Constant(value=str(name))):
            return name
    return ""
