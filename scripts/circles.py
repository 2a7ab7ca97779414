"""Finds source files that import each other, directly or around a circle: python3 scripts/circles.py SRC...

Each SRC is the source folder of a package. A `use`, or a path that begins with `crate` or `super`, is followed through
re-exports to the file that defines the name. A module and its parent may import each other. Test
modules are left out.
"""

import os
import re
import sys

ITEM = re.compile(
    r"^(?:pub(?:\([^)]*\))? )?(?:(?:unsafe|async|const) )*(?:fn|struct|enum|trait|type|static|const|union) (\w+)", re.M
)
USE = re.compile(r"^\s*(pub(?:\([^)]*\))?\s+)?use\s+([^;]+);", re.M)
PATH = re.compile(r"(?<![\w:])(?:crate|super)(?:::\w+)+")
TESTS = re.compile(r"#\[cfg\(test\)\]\s*mod tests \{.*", re.S)
COMMENT = re.compile(r"//[^\n]*")


def modules(source):
    """Maps each module of a package, a tuple of names, to the text of its file."""
    found = {}
    for folder, _, files in os.walk(source):
        for file in files:
            path = os.path.join(folder, file)
            names = os.path.relpath(path, source).removesuffix(".rs").split(os.sep)
            if names[-1] in ("mod", "lib", "main"):
                names.pop()
            if file.endswith(".rs") and "tests" not in names:
                with open(path, encoding="utf-8") as text:
                    found[tuple(names)] = TESTS.sub("", COMMENT.sub("", text.read()))
    return found


def paths(tree, prefix=()):
    """Expands the tree of a `use` into paths."""
    head, brace, body = tree.strip().partition("{")
    names = prefix + tuple(name.strip() for name in re.sub(r"\s+as\s+\w+$", "", head).split("::") if name.strip())
    if not brace:
        return [names] if names else []
    depth, start, parts = 0, 0, []
    body = body[: body.rindex("}")]
    for at, character in enumerate(body):
        depth += (character == "{") - (character == "}")
        if character == "," and depth == 0:
            parts.append(body[start:at])
            start = at + 1
    return [path for part in [*parts, body[start:]] if part.strip() for path in paths(part, names)]


class Package:
    """The modules of a package and their imports."""

    def __init__(self, source):
        self.text = modules(source)
        self.items = {module: set(ITEM.findall(text)) for module, text in self.text.items()}
        self.uses = {module: self.uses_of(module) for module in self.text}
        self.imports = {module: self.imports_of(module) for module in self.text}

    def uses_of(self, module):
        """Lists what a module names: whether it is a re-export, the module where the path begins, and the rest of the path."""
        text = self.text[module]
        named = [(bool(public), path) for public, tree in USE.findall(text) for path in paths(tree)]
        named += [(False, tuple(path.split("::"))) for path in PATH.findall(text)]
        begun = [(public, self.begin(module, path)) for public, path in named]
        return [(public, *begin) for public, begin in begun if begin]

    def begin(self, module, path):
        if path[0] == "crate":
            return (), path[1:]
        if path[0] == "self":
            return module, path[1:]
        if path[0] == "super":
            while path and path[0] == "super":
                module, path = module[:-1], path[1:]
            return module, path
        return (module, path) if module + path[:1] in self.text else None

    def resolve(self, module, path, seen=()):
        """Returns the module that defines the item at a path, or None."""
        while path and module + path[:1] in self.text:
            module, path = module + path[:1], path[1:]
        if path and path[0] not in self.items.get(module, ()) and (module, path[0]) not in seen:
            for _, base, rest in self.uses.get(module, ()):
                if rest and rest[-1] == path[0]:
                    return self.resolve(base, rest, (*seen, (module, path[0])))
        return module if module in self.text else None

    def imports_of(self, module):
        # A re-export alone is not an import.
        found = {self.resolve(base, path) for public, base, path in self.uses[module] if not public}
        return {other for other in found - {None, module} if not is_family(module, other)}

    def circles(self):
        """Returns the groups of modules that import each other, directly or through others."""
        reach = {module: self.reach(module) for module in self.text}
        groups = {
            frozenset(other for other in reach[module] if module in reach[other])
            for module in self.text
            if module in reach[module]
        }
        return sorted(sorted("::".join(module) or "the root" for module in group) for group in groups)

    def reach(self, module):
        found, left = set(), [module]
        while left:
            new = self.imports[left.pop()] - found
            found |= new
            left += new
        return found


def is_family(one, other):
    return one == other[: len(one)] or other == one[: len(other)]


def main(sources):
    failed = False
    for source in sources:
        package = Package(source)
        assert len(package.text) > 1, f"{source} has no modules"
        for circle in package.circles():
            failed = True
            print(f"{source}: these import each other: {', '.join(circle)}", file=sys.stderr)
    sys.exit(failed)


main(sys.argv[1:])
