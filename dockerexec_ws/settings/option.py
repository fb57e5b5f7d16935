"""The declaration of an option as a field of a record, and what follows from it."""

from collections.abc import Iterator
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, ClassVar, TypeVar

from dockerexec_ws.errors import SettingsError
from dockerexec_ws.settings.kinds import Kind, Many

T = TypeVar("T")

ENVIRONMENT_PREFIX = "DOCKEREXEC_WS"

_DECLARATION = "option"


@dataclass(frozen=True)
class _Declaration:
    kind: Kind
    help: str
    metavar: str | None
    default_text: str | None


def option(default: T, kind: Kind, text: str, *, metavar: str | None = None, default_text: str | None = None) -> T:
    """Declare an option as the field of a record.

    *text* is the help: one or two sentences. *metavar* stands for the value in ``--help``. *default_text* describes a
    default that is not a constant.
    """
    declaration = _Declaration(kind, text, metavar, default_text)
    declared: T = field(default=default, metadata={_DECLARATION: declaration})
    return declared


@dataclass(frozen=True)
class Option:
    """One option: its name in Python, the policy file's table that it is in, and what it accepts."""

    name: str
    table: str
    kind: Kind
    default: Any
    help: str
    metavar: str | None
    default_text: str | None

    @property
    def flag(self) -> str:
        """Its flag on the command line."""
        return "--" + self.name.replace("_", "-")

    @property
    def flags(self) -> str:
        """The flag, with its negation if the option is on by default."""
        return f"{self.flag}/--no-{self.flag[2:]}" if self.default is True else self.flag

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return f"{ENVIRONMENT_PREFIX}_{self.name.upper()}"

    @property
    def key(self) -> str:
        """Its full key in the policy file."""
        return f"{self.table}.{self.name}"

    @property
    def multiple(self) -> bool:
        """Whether its flag can be repeated."""
        return isinstance(self.kind, Many)

    def problem(self, value: Any) -> str | None:
        """Return why *value* is not accepted and what to give instead, or None."""
        return None if value is None and self.default is None else self.kind.problem(value)


@dataclass(frozen=True, kw_only=True)
class Record:
    """The options of one table or of several. The constructor checks each value, and raises SettingsError."""

    table: ClassVar[str]

    def __post_init__(self) -> None:
        for each in options_of(type(self)):
            if problem := each.problem(getattr(self, each.name)):
                raise SettingsError(f"{each.name}: {problem}")


def options_of(record: type[Record]) -> Iterator[Option]:
    """Yield the options that *record* declares, or inherits."""
    for each in fields(record):
        declared = each.metadata.get(_DECLARATION)
        if declared is None:
            continue  # only programs can give it
        assert each.default is not MISSING  # nosec B101  # for the type checker: option() has given it
        # The class that declares a field is the one nearest to the root that has it.
        declaring = next(
            base
            for base in reversed(record.__mro__)
            if issubclass(base, Record) and each.name in base.__dataclass_fields__
        )
        yield Option(
            each.name,
            declaring.table,
            declared.kind,
            each.default,
            declared.help,
            declared.metavar,
            declared.default_text,
        )
