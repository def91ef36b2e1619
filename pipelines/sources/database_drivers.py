"""The database systems that `kind: database` reaches: how each is opened read-only, limited, asked and streamed.

A dialect is one function: it yields the answer's schema (text columns only), then record batches, and turns what
goes wrong into Unreadable by the server's error code. A driver's own message is never passed on.

PostgreSQL goes through ADBC, whose COPY arrives as Arrow batches; the server itself writes every value as text
and sends only the columns that are kept. The others go through their DB-API drivers, row by row.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from importlib import import_module
from typing import Any, TypeAlias
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

import pyarrow as pa

from pipelines.sources import Unreadable
from pipelines.sources.database_query import QUERY_MARK
from pipelines.sources.environment import from_environment

#: The column in which an answer keeps its high-water mark, as the database wrote it.
MARK = "_high_water_mark"
#: What a dialect yields: the schema first, then batches.
Item: TypeAlias = pa.Schema | pa.RecordBatch

_CONNECT_SECONDS = 15
#: Rows a batch where a driver gives rows: as Python objects, 5,000 of 1 KB are about 10 MB.
_BATCH_ROWS = 5_000


@dataclass(frozen=True)
class Mark:
    """A high-water mark: the query's column, and the value from which to ask, as the database writes it."""

    column: str
    value: str


@dataclass(frozen=True)
class Ask:
    """One question. keeps: whether a column of the answer is kept. seconds: the limit that the server is told."""

    query: str
    mark: Mark | None
    keeps: Callable[[str], bool]
    seconds: int
    time_zone: str


@dataclass(frozen=True)
class Dialect:
    """name: as people know it. module: its driver. extra: the optional requirement that brings it."""

    name: str
    module: str
    stream: Callable[[Url, Ask], Iterator[Item]]
    extra: str | None = None

    def driver(self) -> Any:
        """The driver's module. Raises Unreadable where it is not installed."""
        try:
            return import_module(self.module)
        except ImportError:
            raise Unreadable(
                "driver_missing",
                f"The driver for {self.name} is not installed.",
                None,
                f"Install it with the project: pip install '.[{self.extra}]'.",
            ) from None


@dataclass(frozen=True)
class Url:
    """A connection URL. Its text holds a password: it has no repr and is never put into a message."""

    text: str
    dialect: Dialect

    def __repr__(self) -> str:
        return f"Url({self.dialect.name})"

    @property
    def parts(self) -> SplitResult:
        return urlsplit(self.text)

    @property
    def options(self) -> dict[str, str]:
        """What stands behind the question mark."""
        return {key: values[-1] for key, values in parse_qs(self.parts.query).items()}

    @property
    def login(self) -> dict[str, Any]:
        """user and password, unquoted, those that are there."""
        found = {"user": self.parts.username, "password": self.parts.password}
        return {key: unquote(value) for key, value in found.items() if value is not None}

    @property
    def database(self) -> str:
        return unquote(self.parts.path.removeprefix("/"))


def connection_url(variable: str) -> Url:
    """The URL that the environment variable, or the file named by `<variable>_FILE`, holds. Raises Unreadable."""
    text = from_environment(variable, "the connection URL")
    malformed = Unreadable(
        "connection_malformed",
        f"{variable} does not hold a connection URL.",
        None,
        f"Write it as {next(iter(DIALECTS))}://user:password@host/database; quote special characters as %40 for @. "
        f"Known: {', '.join(DIALECTS)}.",
    )
    try:
        parts = urlsplit(text)
        _ = parts.port, parts.username
    except ValueError:
        raise malformed from None
    dialect = DIALECTS.get(parts.scheme)
    if dialect is None or "\n" in text or not (parts.hostname or "host=" in parts.query or "socket=" in parts.query):
        raise malformed
    return Url(text, dialect)


# --- what went wrong ---------------------------------------------------------------------------------------------


def too_slow() -> Unreadable:
    return Unreadable(
        "query_too_slow",
        "The query took longer than time_limit_seconds and was stopped.",
        None,
        "Ask for less: by a high-water mark, a date or an index; or raise time_limit_seconds.",
    )


def _cannot_connect() -> Unreadable:
    return Unreadable(
        "cannot_connect",
        "No connection to the database server could be made.",
        None,
        "Check host, port and login in the connection URL, the firewall, and whether the server runs.",
    )


def _login_refused() -> Unreadable:
    return Unreadable(
        "login_refused",
        "The database server refused the login.",
        None,
        "Check user, password and database in the connection URL, and from where the user may connect.",
    )


def _unknown_database() -> Unreadable:
    return Unreadable(
        "unknown_database", "The server has no such database.", None, "Check the name at the connection URL's end."
    )


def _connection_lost() -> Unreadable:
    return Unreadable(
        "connection_lost",
        "The connection broke before the answer was whole. Nothing of it was kept.",
        None,
        "Run again; where it happens every night, ask the database's owner what ends long queries.",
    )


def _not_read_only() -> Unreadable:
    return Unreadable(
        "query_not_read_only",
        "The query tried to change something, and the server refused it.",
        None,
        "Write one query that only reads, and use a login that may only read.",
    )


def _no_permission() -> Unreadable:
    return Unreadable(
        "query_not_permitted",
        "The login may not read what the query asks for.",
        None,
        "Have its tables or views granted to the login, for reading only.",
    )


#: What the commonest errors mean, by the code of each system.
_IN_WORDS = {
    **dict.fromkeys(("42601", "1064", "102", "ORA-00933", "ORA-00936"), "this is not valid SQL there"),
    **dict.fromkeys(("42703", "1054", "207", "ORA-00904"), "a column does not exist"),
    **dict.fromkeys(("42P01", "1146", "208"), "a table or view does not exist"),
}


def _query_wrong(code: str) -> Unreadable:
    meaning = f": {_IN_WORDS[code]}" if code in _IN_WORDS else ""
    return Unreadable(
        "query_failed",
        f"The database could not run the query (its error {code}{meaning}).",
        None,
        "Run the query in the database's own tool, with the same login; there the whole message is shown.",
    )


def _duplicate(name: str) -> Unreadable:
    return Unreadable(
        "duplicate_column_name",
        f"The query gives two columns of the name {name}.",
        None,
        "Name each once, with AS; avoid SELECT * over joined tables.",
    )


def _not_text(name: str) -> Unreadable:
    return Unreadable(
        "column_not_text",
        f"Column {name} holds binary data, lists or records.",
        None,
        "Turn it into text or numbers in the query, or do not map it.",
    )


def _mark_unusable(column: str) -> Unreadable:
    return Unreadable(
        "mark_not_comparable",
        f"high_water_mark: {column} is no date, time or whole or decimal number.",
        None,
        "Use a column that the database counts up or stamps, as modified_at.",
    )


def _checked(names: Sequence[str], ask: Ask) -> list[int]:
    """Places of the columns to keep; the mark's comes last, once more. Raises Unreadable."""
    kept = [n for n, name in enumerate(names) if ask.keeps(name)]
    lower = [names[n].lower() for n in kept]
    for n, name in zip(kept, lower, strict=True):
        if lower.count(name) > 1 or name == MARK:
            raise _duplicate(names[n])
    marks = [n for n, name in enumerate(names) if ask.mark and name.lower() == ask.mark.column.lower()]
    if not kept or len(marks) != (1 if ask.mark else 0):
        missing = "any column that the maps name" if not kept else "one column of the name that high_water_mark gives"
        raise Unreadable(
            "missing_column",
            f"The query does not give {missing}.",
            None,
            "Correct the names in district.yaml, or name the columns in the query with AS.",
        )
    return kept + marks


def _text_schema(names: Sequence[str], kind: str | None) -> pa.Schema:
    fields = [pa.field(name, pa.string()) for name in names]
    return pa.schema([*fields, pa.field(MARK, pa.string())] if kind else fields, {"mark": kind} if kind else None)


# --- PostgreSQL --------------------------------------------------------------------------------------------------

#: PostgreSQL's types of marks, and how marks of them compare.
_PG_MARKS = {
    **dict.fromkeys(("int2", "int4", "int8", "numeric"), "number"),
    **dict.fromkeys(("date", "timestamp"), "time"),
    "timestamptz": "instant",
}
_PG_TEXTS = {
    # In the district's own time, which is what its days are counted in.
    "timestamptz": "CAST(CAST({} AS timestamp) AS text)",
}


def _postgresql(url: Url, ask: Ask) -> Iterator[Item]:
    dbapi = url.dialect.driver()
    with _pg_errors(dbapi, connected=False):
        con = dbapi.connect(_pg_uri(url))
    with closing(con), con.cursor() as cursor, _pg_errors(dbapi, connected=True):
        cursor.execute("SET TRANSACTION READ ONLY")
        settings = (f"{ask.seconds}s", ask.time_zone, "ISO", ask.mark.value if ask.mark else "")
        cursor.execute(
            "SELECT set_config('statement_timeout', $1, true), set_config('TimeZone', $2, true), "
            "set_config('DateStyle', $3, true), set_config('equity.high_water_mark', $4, true)",
            settings,
        )
        cursor.fetchall()
        query = ask.query
        if ask.mark is not None:
            # What the mark is compared with says its type. The value itself stands in a setting of the transaction,
            # since a COPY, which alone streams, takes no parameters.
            parameter = cursor.adbc_prepare(QUERY_MARK.sub("$1", query))
            type_name = _pg_type(parameter.field(0)) if parameter else ""
            if type_name not in _PG_MARKS:
                raise _mark_unusable(ask.mark.column)
            query = QUERY_MARK.sub(f"CAST(current_setting('equity.high_water_mark') AS {type_name})", query)
        # One statement only, or the server refuses to describe it. Nothing runs yet.
        described = cursor.adbc_execute_schema(query)
        if not described.names:
            raise _not_read_only()
        fields = [described.field(n) for n in _checked(described.names, ask)]
        kind = _PG_MARKS.get(_pg_type(fields[-1])) if ask.mark else None
        if ask.mark and kind is None:
            raise _mark_unusable(ask.mark.column)
        kept = fields[:-1] if ask.mark else fields
        selected = [f"{_pg_text(one)} AS {quoted(one.name)}" for one in kept]
        selected += [f"CAST({quoted(fields[-1].name)} AS text) AS {MARK}"] if ask.mark else []
        schema = _text_schema([one.name for one in kept], kind)
        yield schema
        try:
            cursor.execute(f"SELECT {', '.join(selected)} FROM (\n{query}\n) AS equity_query")
        except dbapi.Error as problem:
            # What can be described and cannot be read from is an INSERT, UPDATE or DELETE that returns rows, unless it
            # is a comment behind a semicolon.
            if problem.sqlstate == "0A000" or (problem.sqlstate == "42601" and ";" not in query):
                raise _not_read_only() from None
            raise
        # The driver's own reader: what the cursor's fetch_record_batch gives loses the server's error codes.
        reader = import_module("adbc_driver_manager._reader").AdbcRecordBatchReader
        handle = cursor.fetch_arrow()
        for batch in reader._import_from_c(handle.address):
            yield pa.RecordBatch.from_arrays(batch.columns, schema=schema)


def _pg_uri(url: Url) -> str:
    """The URL for libpq, which is told not to wait for ever for a server that has gone."""
    defaults = {
        "connect_timeout": _CONNECT_SECONDS,
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "application_name": "equity-warehouse",
        "client_encoding": "UTF8",
    }
    added = "&".join(f"{key}={value}" for key, value in defaults.items() if key not in url.options)
    text = "postgresql" + url.text[len(url.parts.scheme) :]
    return f"{text}{'&' if url.parts.query else '?'}{added}"


def _pg_type(one: pa.Field) -> str:
    name: bytes = (one.metadata or {}).get(b"POSTGRESQL:type", b"")
    return name.decode()


def _pg_text(one: pa.Field) -> str:
    """SQL of a column as text."""
    if pa.types.is_nested(one.type) or _pg_type(one) == "bytea":
        raise _not_text(one.name)
    return _PG_TEXTS.get(_pg_type(one), "CAST({} AS text)").format(quoted(one.name))


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@contextmanager
def _pg_errors(dbapi: Any, *, connected: bool) -> Iterator[None]:
    try:
        yield
    except dbapi.Error as problem:
        raise _pg_problem(problem.sqlstate, str(problem), connected=connected) from None


def _pg_problem(state: str | None, text: str, *, connected: bool) -> Unreadable:
    """The problem behind an SQLSTATE. While connecting there is none: there the words of libpq decide."""
    if not connected:
        if "authentication failed" in text or "pg_hba.conf" in text or "no password supplied" in text:
            return _login_refused()
        if re.search(r'database ".*" does not exist', text):
            return _unknown_database()
        return _login_refused() if re.search(r'role ".*" does not exist', text) else _cannot_connect()
    if state is None or state.startswith("08") or state in ("57P01", "57P02", "57P03"):
        return _connection_lost()
    by_state = {"57014": too_slow, "25006": _not_read_only, "42501": _no_permission}
    return by_state[state]() if state in by_state else _query_wrong(state)


# --- DB-API drivers ----------------------------------------------------------------------------------------------


def _rows(
    cursor: Any, ask: Ask, kinds: Callable[[Any], str | None], bits: Callable[[Any], bool] = lambda _: False
) -> Iterator[Item]:
    """An executed cursor's rows as batches of text. kinds: how marks of a column's type compare; bits: bit fields."""
    if cursor.description is None:
        raise _not_read_only()
    names = [str(column[0]) for column in cursor.description]
    types = [column[1] for column in cursor.description]
    places = _checked(names, ask)
    kind = kinds(types[places[-1]]) if ask.mark else None
    if ask.mark and kind is None:
        raise _mark_unusable(ask.mark.column)
    schema = _text_schema([names[n] for n in places[: len(places) - bool(kind)]], kind)
    yield schema
    texts = [_bits if bits(types[n]) else _text for n in places]
    while rows := cursor.fetchmany(_BATCH_ROWS):
        columns = []
        for n, text in zip(places, texts, strict=True):
            try:
                columns.append(pa.array([text(row[n]) for row in rows], pa.string()))
            except (TypeError, UnicodeError):
                raise _not_text(names[n]) from None
        yield pa.RecordBatch.from_arrays(columns, schema=schema)


def _text(value: object) -> str | None:
    """A value as text: ISO dates and times, plain numbers, true and false. Raises TypeError for bytes and the like."""
    match value:
        case None | str():
            return value
        case bool():
            return str(value).lower()
        case Decimal():
            return format(value, "f")
        case datetime():
            return value.isoformat(" ")
        case int() | float() | date():
            return str(value)
        case bytes() | bytearray() | memoryview() | list() | tuple() | dict():
            raise TypeError
    return str(value)


def _bits(value: bytes | None) -> str | None:
    return None if value is None else str(int.from_bytes(value, "big"))


def _as_number(value: str) -> int | Decimal | str:
    """A mark as a number where it is one: compared as text, long ones would lose their last digits."""
    if re.fullmatch(r"-?\d+", value):
        return int(value)
    return Decimal(value) if re.fullmatch(r"-?\d+\.\d+", value) else value


def _with_parameter(ask: Ask) -> tuple[str, dict[str, Any] | None]:
    """The query in the drivers' own style of parameters, and its parameter."""
    if ask.mark is None:
        return ask.query, None
    query = QUERY_MARK.sub("%(high_water_mark)s", ask.query.replace("%", "%%"))
    return query, {"high_water_mark": _as_number(ask.mark.value)}


_Problems: TypeAlias = Mapping[int | str, Callable[[], Unreadable]]


@contextmanager
def _driver_errors(error: type[Exception], problems: _Problems, code_of: Callable[[Any], int | str]) -> Iterator[None]:
    """A driver's errors as Unreadable: by their code, which `code_of` finds in what the error holds first."""
    try:
        yield
    except error as problem:
        code = code_of(problem.args[0]) if problem.args else 0
        raise (problems[code]() if code in problems else _query_wrong(str(code))) from None


# --- MariaDB and MySQL -------------------------------------------------------------------------------------------

_MYSQL_PROBLEMS: _Problems = {
    **dict.fromkeys((1045, 1698, 1130, 1044, 1862), _login_refused),
    1049: _unknown_database,
    **dict.fromkeys((2002, 2003, 2005, 1040), _cannot_connect),
    **dict.fromkeys((2006, 2013, 2014, 1053, 1927, 1317, 1094, 0), _connection_lost),
    **dict.fromkeys((1969, 3024), too_slow),
    **dict.fromkeys((1792, 1290), _not_read_only),
    **dict.fromkeys((1142, 1143, 1370), _no_permission),
}


def _mysql(url: Url, ask: Ask) -> Iterator[Item]:
    pymysql = url.dialect.driver()
    types = import_module("pymysql.constants.FIELD_TYPE")
    numbers = {types.DECIMAL, types.NEWDECIMAL, types.TINY, types.SHORT, types.LONG, types.INT24, types.LONGLONG}
    times = {types.DATE, types.NEWDATE, types.DATETIME, types.TIMESTAMP}

    def kinds(code: int) -> str | None:
        return "number" if code in numbers else "time" if code in times else None

    options = url.options
    arguments: dict[str, Any] = {
        **url.login,
        "host": url.parts.hostname,
        "port": url.parts.port or 3306,
        "database": url.database,
        "unix_socket": options.get("unix_socket"),
        "ssl_ca": options.get("ssl_ca"),
        "ssl_verify_identity": True if options.get("ssl_ca") else None,
        "charset": "utf8mb4",
        "connect_timeout": _CONNECT_SECONDS,
        "read_timeout": ask.seconds + 1,
        "program_name": "equity-warehouse",
        # Values as the server writes them: a day 0000-00-00 is refused later, as a row, and breaks nothing here.
        "conv": {key: value for key, value in pymysql.converters.conversions.items() if not isinstance(key, int)},
    }
    # An error without a number, as a packet that ends too early, is 0.
    with _driver_errors(pymysql.MySQLError, _MYSQL_PROBLEMS, lambda code: code if isinstance(code, int) else 0):
        try:
            con = pymysql.connect(**arguments)
        except (RuntimeError, OSError):
            # A way to log in for which the driver lacks a package; a certificate that is not there.
            raise _login_refused() from None
        with _mysql_closed(con):
            plain = con.cursor()
            if "MariaDB" in con.get_server_info():
                plain.execute("SET SESSION max_statement_time = %s", (ask.seconds,))
            else:
                plain.execute("SET SESSION max_execution_time = %s", (ask.seconds * 1000,))
            plain.execute("START TRANSACTION READ ONLY")
            cursor = con.cursor(pymysql.cursors.SSCursor)
            cursor.execute(*_with_parameter(ask))
            yield from _rows(cursor, ask, kinds, bits=lambda code: bool(code == types.BIT))


@contextmanager
def _mysql_closed(con: Any) -> Iterator[None]:
    """Close the connection, also over an answer that is not read to its end."""
    try:
        yield
    finally:
        # The driver would read the rest, and complain from a destructor when it cannot. It has no public way to stop.
        if con._result is not None:
            con._result.unbuffered_active = False
        con.close()


# --- SQL Server and Oracle: written against their drivers' documentation, not run -----------------------------------


_MSSQL_PROBLEMS: _Problems = {
    18456: _login_refused,
    4060: _unknown_database,
    229: _no_permission,
    20003: too_slow,
    **dict.fromkeys((20004, 20006, 20047), _connection_lost),
    **dict.fromkeys((20002, 20009, 20012, 20013), _cannot_connect),
}


def _mssql(url: Url, ask: Ask) -> Iterator[Item]:
    """SQL Server knows no read-only transaction: what a query would change is rolled back at the end."""
    pymssql = url.dialect.driver()

    def kinds(type_code: int) -> str | None:
        return "number" if type_code in (3, 5) else "time" if type_code == 4 else None  # NUMBER, DECIMAL; DATETIME

    # While connecting, the number stands in a tuple of its own.
    with _driver_errors(pymssql.Error, _MSSQL_PROBLEMS, lambda code: code[0] if isinstance(code, tuple) else code):
        con = pymssql.connect(
            server=url.parts.hostname,
            port=str(url.parts.port or 1433),
            database=url.database,
            login_timeout=_CONNECT_SECONDS,
            timeout=ask.seconds,
            charset="UTF-8",
            appname="equity-warehouse",
            encryption=url.options.get("encryption", "require"),
            read_only=True,
            use_datetime2=True,
            autocommit=False,
            **url.login,
        )
        with closing(con):
            cursor = con.cursor()
            cursor.execute(*_with_parameter(ask))
            yield from _rows(cursor, ask, kinds)


_ORACLE_PROBLEMS: _Problems = {
    "ORA-01017": _login_refused,
    "ORA-28000": _login_refused,
    "ORA-12514": _unknown_database,
    "DPY-6001": _unknown_database,
    "ORA-01456": _not_read_only,
    **dict.fromkeys(("ORA-00942", "ORA-01031"), _no_permission),
    **dict.fromkeys(("DPY-4024", "ORA-01013"), too_slow),
    "DPY-4011": _connection_lost,
    **dict.fromkeys(("DPY-6000", "DPY-6005"), _cannot_connect),
}


def _oracle(url: Url, ask: Ask) -> Iterator[Item]:
    oracledb = url.dialect.driver()

    def kinds(type_code: Any) -> str | None:
        if type_code == oracledb.DB_TYPE_NUMBER:
            return "number"
        return "time" if type_code in (oracledb.DB_TYPE_DATE, oracledb.DB_TYPE_TIMESTAMP) else None

    # Numbers whole, not as floating point; long texts as texts.
    oracledb.defaults.fetch_decimals, oracledb.defaults.fetch_lobs = True, False
    dsn = f"{url.parts.hostname}:{url.parts.port or 1521}/{url.database}"
    with _driver_errors(oracledb.Error, _ORACLE_PROBLEMS, lambda error: str(error.full_code)):
        con = oracledb.connect(dsn=dsn, tcp_connect_timeout=_CONNECT_SECONDS, **url.login)
        with closing(con):
            con.call_timeout = ask.seconds * 1000
            cursor = con.cursor()
            cursor.arraysize = _BATCH_ROWS
            cursor.execute("SET TRANSACTION READ ONLY")
            cursor.execute(ask.query, {"high_water_mark": _as_moment(ask.mark.value)} if ask.mark else {})
            yield from _rows(cursor, ask, kinds)


def _as_moment(value: str) -> object:
    """A mark as a number or a time: Oracle reads times in text by the session's own format."""
    try:
        return datetime.fromisoformat(value) if "-" in value[1:] else _as_number(value)
    except ValueError:
        return value


_MARIADB = Dialect("MariaDB or MySQL", "pymysql", _mysql)
_POSTGRESQL = Dialect("PostgreSQL", "adbc_driver_postgresql.dbapi", _postgresql)
#: By the scheme of the connection URL.
DIALECTS: dict[str, Dialect] = {
    "postgresql": _POSTGRESQL,
    "postgres": _POSTGRESQL,
    "mariadb": _MARIADB,
    "mysql": _MARIADB,
    "mssql": Dialect("SQL Server", "pymssql", _mssql, extra="sqlserver"),
    "oracle": Dialect("Oracle", "oracledb", _oracle, extra="oracle"),
}
