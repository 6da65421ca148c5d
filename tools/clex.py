# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reads C well enough for house rules: tokens, comments, directives and functions.

No macro is expanded and no type is known; the house's own style (one statement a line, braces as clang-format
leaves them) is what makes that enough. Comments and strings can never be mistaken for code.
"""

import functools
import re
from typing import NamedTuple

LEXEME = re.compile(r'''
    (?P<comment>/\*.*?\*/|//[^\n]*)
  | (?P<string>(?:u8|[LuU])?"(?:\\.|[^"\\\n])*")
  | (?P<char>[LuU]?'(?:\\.|[^'\\\n])+')
  | (?P<name>[A-Za-z_]\w*)
  | (?P<number>\.?\d(?:[eEpP][+-]|[\w.])*)
  | (?P<splice>\\\n)
  | (?P<newline>\n)
  | (?P<space>[ \t\f\r\v]+)
  | (?P<punct>->|\+\+|--|<<=?|>>=?|[=!<>+*/%&|^-]=|&&|\|\||\.\.\.|.)
''', re.X | re.S)

OPENING = {'(': ')', '[': ']', '{': '}'}
CLOSING = set(OPENING.values())
LOOPS = ('for', 'while', 'switch', 'if')
NOT_A_BLOCK = ('__attribute__', 'sizeof', 'typeof', '_Static_assert', 'return')


class Token(NamedTuple):
    kind: str
    text: str
    line: int
    directive: bool  # part of a preprocessor line, a macro's body for instance


class Directive(NamedTuple):
    name: str
    text: str
    line: int


class Include(NamedTuple):
    path: str
    system: bool  # <…> rather than "…"
    line: int


class Function(NamedTuple):
    name: str
    first: int  # line of the return type
    last: int  # line of the closing brace
    body: list  # tokens from { to }

    @property
    def lines(self):
        return self.last - self.first + 1


class CFile:
    """One file of C, read once."""

    def __init__(self, text):
        self.text = text
        self.tokens = []
        self.comments = []  # Tokens
        self.directives = []
        self._read()

    def _read(self):
        line, fresh, start = 1, True, None
        for match in LEXEME.finditer(self.text):
            kind, lexeme = match.lastgroup, match.group()
            if kind == 'comment':
                self.comments.append(Token(kind, lexeme, line, start is not None))
            elif kind == 'newline':
                self._end_directive(start, match.start(), line)
                fresh, start = True, None
            elif kind not in ('space', 'splice'):
                if lexeme == '#' and fresh:
                    start = match.start()
                self.tokens.append(Token(kind, lexeme, line, start is not None))
                fresh = False
            line += lexeme.count('\n')
        self._end_directive(start, len(self.text), line)

    def _end_directive(self, start, end, line):
        if start is None:
            return
        raw = self.text[start:end]
        match = re.match(r'#\s*(\w+)', raw)
        self.directives.append(Directive(match[1] if match else '', raw, line - raw.count('\n')))

    @functools.cached_property
    def includes(self):
        found = []
        for directive in self.directives:
            match = re.match(r'#\s*include\s*([<"])([^">]+)[">]', directive.text)
            if match:
                found.append(Include(match[2], match[1] == '<', directive.line))
        return found

    @functools.cached_property
    def code(self):
        """Tokens outside the preprocessor."""
        return [t for t in self.tokens if not t.directive]

    @functools.cached_property
    def last_column(self):
        """Line → columns taken by its code; comments do not count."""
        lines = LEXEME.sub(without_comment, self.text).split('\n')
        return {number: len(line.rstrip().expandtabs(8)) for number, line in enumerate(lines, 1)}

    def calls(self, names):
        """Where one of `names` is followed by an opening parenthesis, macros' bodies included."""
        for this, following in zip(self.tokens, self.tokens[1:]):
            if this.kind == 'name' and this.text in names and following.text == '(':
                yield this

    @functools.cached_property
    def functions(self):
        found, i, start = [], 0, 0
        while i < len(self.code):
            text = self.code[i].text
            if text == '{':
                end = matching(self.code, i)
                name = function_name(self.code, start, i)
                if name:
                    found.append(self._function(name, start, i, end))
                    start = end + 1
                i = end
            elif text in '([':
                i = matching(self.code, i)
            elif text == ';':
                start = i + 1
            i += 1
        return found

    def _function(self, name, start, brace, end):
        # A macro call without a semicolon may stand before it: no return type takes more than one line.
        first = max(self.code[start].line, name.line - 1)
        return Function(name.text, first, self.code[end].line, self.code[brace:end + 1])


def without_comment(match):
    return re.sub(r'[^\n\t]', ' ', match[0]) if match.lastgroup == 'comment' else match[0]


def matching(tokens, i):
    """Index of the bracket that closes the one at `i`; the last token where none does."""
    depth = 0
    for j in range(i, len(tokens)):
        if tokens[j].kind == 'punct':
            depth += (tokens[j].text in OPENING) - (tokens[j].text in CLOSING)
        if depth == 0:
            return j
    return len(tokens) - 1


def opening(tokens, i):
    """Index of the bracket that the one at `i` closes; 0 where none does."""
    depth = 0
    for j in range(i, -1, -1):
        if tokens[j].kind == 'punct':
            depth += (tokens[j].text in CLOSING) - (tokens[j].text in OPENING)
        if depth == 0:
            return j
    return 0


def function_name(tokens, start, brace):
    """The name before `(…) {`, or None where the brace opens a type or an initialiser."""
    i = brace - 1
    while i > start and tokens[i].text == ')':
        i = opening(tokens, i) - 1
        if i < start or tokens[i].kind != 'name':
            return None
        if tokens[i].text != '__attribute__':
            return tokens[i] if i > start else None
        i -= 1
    return None


class Nesting:
    """How deep the control statements of one function go; the function's own braces count 0."""

    def __init__(self, body):
        self.tokens = body
        self.deepest, self.line = 0, body[0].line
        self._block(0, 0)

    def _text(self, i):
        return self.tokens[i].text if i < len(self.tokens) else '}'

    def _block(self, i, depth):
        """From `{` at `i`; returns the index behind its `}`."""
        i += 1
        while i < len(self.tokens) and self._text(i) != '}':
            i = self._statement(i, depth)
        return i + 1

    def _statement(self, i, depth):
        text = self._text(i)
        if text == '{':
            return self._block(i, depth)
        if text == 'do':
            i = self._inner(i + 1, depth)
            return self._plain(i)
        if text in ('case', 'default'):
            return self._label(i)
        if self._is_control(i):
            return self._control(i, depth)
        return self._plain(i)

    def _is_control(self, i):
        """if, for, while, switch, or a loop made by a macro: a name, a parenthesis, a block."""
        if self._text(i) in LOOPS:
            return True
        if self.tokens[i].kind != 'name' or self._text(i) in NOT_A_BLOCK or self._text(i + 1) != '(':
            return False
        return self._text(matching(self.tokens, i + 1) + 1) == '{'

    def _control(self, i, depth):
        is_if = self._text(i) == 'if'
        i = self._inner(matching(self.tokens, i + 1) + 1, depth)
        if is_if and self._text(i) == 'else':
            i += 1
            # `else if` is a ladder, not a step down.
            return self._control(i, depth) if self._text(i) == 'if' else self._inner(i, depth)
        return i

    def _inner(self, i, depth):
        if depth + 1 > self.deepest and i < len(self.tokens):
            self.deepest, self.line = depth + 1, self.tokens[i].line
        return self._statement(i, depth + 1)

    def _label(self, i):
        while self._text(i) not in (':', '}'):
            i = matching(self.tokens, i) + 1 if self._text(i) in OPENING else i + 1
        return i + (self._text(i) == ':')

    def _plain(self, i):
        """An expression or a declaration; returns the index behind its `;`."""
        while i < len(self.tokens) and self._text(i) not in (';', '}'):
            i = matching(self.tokens, i) + 1 if self._text(i) in OPENING else i + 1
        return i + (self._text(i) == ';' and i < len(self.tokens))
