"""Rewrites LocalStack 4.14.0 for Python 3.11 and 3.12: it is written in the syntax of 3.13.

Classes, functions and aliases with parameters of type (PEP 695) become generics of `typing`; the rest are two names that moved.
"""

import pathlib
import re
import sys

CLASS = re.compile(r"^(\s*)class (\w+)\[([^\]]+)\](?:\((.*)\))?:", re.M)
FUNCTION = re.compile(r"^(\s*(?:async )?def \w+)\[([^\]]+)\]\(", re.M)
ALIAS = re.compile(r"^type (\w+) = ", re.M)
FIRST_STATEMENT = re.compile(r"^(?:@|class |def |async def )", re.M)


def rewritten(text: str) -> str:
    names: set[str] = set()

    def variables(parameters: str) -> list[str]:
        found = [parameter.split(":")[0].strip() for parameter in parameters.split(",")]
        names.update(found)
        return found

    def generic_class(match: re.Match) -> str:
        bases = [match[4]] if match[4] else []
        bases.append(f"_Generic[{', '.join(variables(match[3]))}]")
        return f"{match[1]}class {match[2]}({', '.join(bases)}):"

    def plain_function(match: re.Match) -> str:
        variables(match[2])
        return f"{match[1]}("

    text = CLASS.sub(generic_class, text)
    text = FUNCTION.sub(plain_function, text)
    text = ALIAS.sub(r"\1 = ", text)
    text = text.replace("install_lock: Lock | None", 'install_lock: "Lock | None"')
    text = text.replace("from warnings import deprecated", "from typing_extensions import deprecated")
    if not names:
        return text
    head = "from typing import Generic as _Generic, TypeVar as _TypeVar\n"
    head += "".join(f'{name} = _TypeVar("{name}")\n' for name in sorted(names))
    at = FIRST_STATEMENT.search(text).start()
    return f"{text[:at]}{head}\n\n{text[at:]}"


def main(folder: str) -> None:
    for path in pathlib.Path(folder).rglob("*.py"):
        before = path.read_text()
        after = rewritten(before)
        if after != before:
            path.write_text(after)
            compile(after, str(path), "exec")


if __name__ == "__main__":
    main(sys.argv[1])
