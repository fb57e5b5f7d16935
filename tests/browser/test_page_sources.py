"""The page's sources, and tests of the modules that need no browser."""

import json
import re
import subprocess

import pytest

from tests.browser.conftest import PAGE
from tests.browser.node import node


def test_nothing_of_the_page_is_inline_or_from_elsewhere():
    html = (PAGE / "index.html").read_text()
    assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=", html)
    for path in [*PAGE.glob("*.js"), *PAGE.glob("*.css"), PAGE / "index.html"]:
        addresses = re.findall(r"(?:https?|wss?)://[^\"'\s]+", path.read_text())
        assert [address for address in addresses if "HOST" not in address] == []


def test_each_theme_has_every_colour_and_is_the_only_place_for_them():
    colours = r"(?m)^ *(--[\w-]+): #[0-9a-f]{6};$"
    html = (PAGE / "index.html").read_text()
    themes = {path.name: re.findall(colours, path.read_text()) for path in PAGE.glob("theme_*.css")}
    for name, found in themes.items():
        assert found == themes["theme_light.css"], name
        assert f"{{{{assets}}}}{name}" in html
    used = set()
    for path in [*PAGE.glob("*.css"), *PAGE.glob("*.js")]:
        if path.name not in themes:
            assert not re.search(r"#[0-9a-f]{6}\b", path.read_text()), path.name
            used |= set(re.findall(r"--[a-z][\w-]*(?=[)\"])", path.read_text()))
    ansi = {name for name in themes["theme_light.css"] if name.startswith("--ansi-")}
    assert len(ansi) == 16
    assert set(themes["theme_light.css"]) - ansi <= used


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", []),
        ("  ls   -l\t/ ", ["ls", "-l", "/"]),
        ("sh -c 'echo \"$HOME\" | wc'", ["sh", "-c", 'echo "$HOME" | wc']),
        ("a \"b c\"d'e f' g", ["a", "b cde f", "g"]),
        (r'"\$ \` \" \\ \n"', [r'$ ` " \ \n']),
        (r"a\ b \'c\' '\'", ["a b", "'c'", "\\"]),
        ("a \"\" ''", ["a", "", ""]),
        ("a\\\nb 'c\nd'", ["ab", "c\nd"]),
        ("漢字 'ä 🙂'", ["漢字", "ä 🙂"]),
    ],
)
def test_a_line_is_split_as_a_shell_does(line, words):
    assert (
        node(f"import {{split}} from './shell_words.js'; console.log(JSON.stringify(split({json.dumps(line)})))")
        == words
    )
    shell = ["bash", "-c", f"printf '%s\\0' {line}" if line else ":"]
    if "$" not in line:
        assert subprocess.run(shell, capture_output=True, text=True).stdout.split("\0")[:-1] == words


def test_a_line_for_a_shell_is_told_from_one_that_is_only_words():
    for_a_shell = ["ls -l / | head", "a;b", "a&", "a > b", "a < b", "echo $TERM", "ls *.py", "echo `id`"]
    for_a_shell += ['echo "$TERM"', 'echo "`id`"', 'echo "it\'s" | cat']
    words = [
        "ls -l /",
        "bash -c 'ls | head; echo $TERM'",
        'echo "a | b; c > d *"',
        r"echo \$a \| \*",
        r'echo "\$a"',
        "",
    ]
    script = f"console.log(JSON.stringify({json.dumps([*for_a_shell, *words])}.filter(hasShellSyntax)))"
    assert node(f"import {{hasShellSyntax}} from './shell_words.js'; {script}") == for_a_shell


def test_what_is_quoted_is_split_into_the_same_words():
    words = ["a", "", "it's", 'say "hi"', "$HOME", "a\nb", "\\", "漢", "--x=1", "*", "~", "a b"]
    script = f"const words = {json.dumps(words)}; console.log(JSON.stringify([quote(words), split(quote(words))]))"
    line, again = node(f"import {{quote, split}} from './shell_words.js'; {script}")
    assert again == words
    assert (
        subprocess.run(["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, text=True).stdout.split("\0")[:-1]
        == words
    )


@pytest.mark.parametrize("line", ["'a", '"a', "a\\", 'a "b\\"'])
def test_a_line_that_is_not_finished(line):
    script = (
        f"try {{ split({json.dumps(line)}) }} catch (error) {{ console.log(JSON.stringify(error.constructor.name)) }}"
    )
    assert node(f"import {{split}} from './shell_words.js'; {script}") == "UnfinishedError"


# A WebSocket whose server is a script: `server(code, ...payload)` sends a message, `sent` has those received.
FAKE = """
import {ExecSession, sessionUrl, subprotocols} from './protocol.js';
import {LARGEST_INPUT} from './stdin.js';
import {LONGEST_BURST} from './flow.js';
const sent = [], heard = [];
let socket;
globalThis.WebSocket = class {
  static OPEN = 1;
  readyState = 1;
  bufferedAmount = 0;
  constructor(...opening) { socket = this; this.opening = opening; }
  send(data) { sent.push([data[0], Buffer.from(data.subarray(1)).toString('latin1')]); }
  close(code) { this.closed = code; }
};
const server = (code, ...payload) => socket.onmessage({data: new Uint8Array([code, ...payload]).buffer});
const start = (request = {}) => new ExecSession('http://h/x', {command: ['a'], ...request}, {
  started: () => heard.push('started'),
  output: (data, stderr) => heard.push([Buffer.from(data).toString('latin1'), stderr]),
  notice: (text) => heard.push(['notice', text]),
  ended: (ending) => heard.push(ending),
});
const text = (string) => Buffer.from(string);
const print = (value) => console.log(JSON.stringify(value));
"""


def test_the_url_and_the_subprotocols():
    url, protocols, without = node(
        FAKE
        + """
        print([sessionUrl('https://h:1/x/y', {command: ['a b', 'c&d', ''], tty: true, size: {rows: 2, columns: 3},
               user: 'u', workdir: '/w', env: ['A=1', 'B=2']}), subprotocols('t\u00f6ken?>'), subprotocols()]);
        """
    )
    assert url == (
        "wss://h:1/x/y?tty=true&command=a+b&command=c%26d&command=&rows=2&columns=3"
        "&user=u&workdir=%2Fw&env=A%3D1&env=B%3D2"
    )
    assert protocols == ["dockerexec-ws", "base64url.bearer.authorization.dockerexec-ws.dMO2a2VuPz4"]
    assert without == ["dockerexec-ws"]


def test_stdin_waits_for_the_server_and_is_cut_between_characters():
    waited, sent = node(
        FAKE
        + """
        const session = start();
        session.write('first'); session.endInput(); session.write('too late');
        const waited = sent.length;
        server(100); server(101);
        print([waited, sent]);
        """
    )
    assert waited == 0
    assert sent == [[0, "first"], [102, ""]]
    pieces = node(
        FAKE
        + """
        const session = start({tty: true});
        server(100); server(101);
        session.write('x' + '\u6f22'.repeat(50_000)); session.endInput(); session.write(new Uint8Array([255]));
        await 0;
        const held = sent.length;
        server(100);
        print([held, LARGEST_INPUT, ...sent]);
        """
    )
    held, largest, *messages = pieces
    assert held == 0
    *stdin, end, last = messages
    assert (end, last) == ([102, ""], [0, "\xff"])  # with a tty more input may follow the end
    for _, piece in stdin:
        assert len(piece) <= largest
        piece.encode("latin-1").decode()
    assert "".join(piece for _, piece in stdin).encode("latin-1").decode() == "x" + "漢" * 50_000


def test_what_is_sent_faster_than_the_network_takes_it_waits_and_hears_a_pause():
    at_first, paused, sent = node(
        FAKE
        + """
        const session = start();
        server(100);
        socket.bufferedAmount = 1e6;
        session.write('a');
        await 0;
        session.write('b');
        await 0;
        const atFirst = sent.length;
        server(101);
        socket.bufferedAmount = 0;
        setTimeout(async () => {
          const paused = sent.length;
          server(100);
          session.write('c');
          await 0;
          print([atFirst, paused, sent]);
        }, 50);
        """
    )
    assert (at_first, paused) == (0, 0)
    assert sent == [[0, "a"], [0, "b"], [0, "c"]]


def test_what_is_written_at_once_is_one_message():
    sent = node(
        FAKE
        + """
        const session = start({tty: true});
        server(100);
        for (let n = 0; n < 1000; n += 1) session.write('1234');
        await 0;
        session.write('5'); session.endInput();
        print(sent);
        """
    )
    assert sent == [[0, "1234" * 1000], [0, "5"], [102, ""]]


def test_sizes_are_told_once_each_and_only_with_a_tty():
    sent = node(
        FAKE
        + """
        const session = start({tty: true, size: {rows: 24, columns: 80}});
        session.resize({rows: 24, columns: 81}); session.resize({rows: 300, columns: 400});
        server(100);
        session.resize({rows: 300, columns: 400}); session.resize({rows: 1, columns: 2});
        const other = start({size: {rows: 1, columns: 1}});
        server(100);
        other.resize({rows: 2, columns: 2});
        print(sent);
        """
    )
    assert sent == [[50, "\x2c\x01\x90\x01"], [50, "\x01\x00\x02\x00"]]


def test_a_burst_of_output_pauses_the_server_until_it_is_consumed_and_nothing_comes_any_more():
    before, while_consuming, after = node(
        FAKE
        + """
        const session = start();
        server(100);
        const piece = new Uint8Array(1 + LONGEST_BURST / 2).fill(1);
        const output = () => socket.onmessage({data: piece.buffer});
        output(); session.consumed(LONGEST_BURST / 2); output(); session.consumed(LONGEST_BURST / 2);
        const before = sent.length;
        server(2, 65); output();
        session.consumed(1);
        const whileConsuming = sent.map(([code]) => code);
        session.consumed(LONGEST_BURST / 2);
        const wait = setInterval(() => {
          if (sent.length < 2) return;
          clearInterval(wait);
          print([before, whileConsuming, sent.map(([code]) => code)]);
        }, 1);
        """
    )
    assert (before, while_consuming, after) == (0, [101], [101, 100])


@pytest.mark.parametrize(
    ("messages", "close", "ending"),
    [
        ("server(100); server(200, 137);", 1000, {"reason": "exited", "code": 137}),
        ("server(100); server(200, 0);", 1006, {"reason": "exited", "code": 0}),
        ("server(100); server(200);", 1000, {"reason": "lost"}),
        ("server(100); server(200, 0, 0);", 1000, {"reason": "lost"}),
        ("server(202, ...text('no'));", 1008, {"reason": "refused", "text": "no"}),
        ("server(202, ...text('no'));", 1006, {"reason": "refused", "text": "no"}),
        ("server(100); server(202, ...text('limit'));", 1008, {"reason": "stopped", "text": "limit"}),
        ("server(100);", 1011, {"reason": "stopped", "text": ""}),
        ("server(100); server(201);", 1001, {"reason": "shutdown"}),
        ("server(100); server(201);", 1006, {"reason": "shutdown"}),
        ("server(100);", 1001, {"reason": "shutdown"}),
        ("server(100); server(202, ...text('stdin is closed'));", 1006, {"reason": "lost"}),
        ("socket.onopen();", 1006, {"reason": "lost"}),
        ("", 1006, {"reason": "unopened"}),
        ("session.close();", 1000, {"reason": "closed"}),
    ],
)
def test_every_ending_is_told_once_and_truly(messages, close, ending):
    script = f"const session = start(); {messages} socket.onclose({{code: {close}}}); server(1, 65); print(heard);"
    heard = node(FAKE + script)
    assert heard[-1] == ending
    assert sum("reason" in event for event in heard if isinstance(event, dict)) == 1


def test_no_pasted_control_character_is_sent_but_tabs_and_line_ends():
    controls = "".join(map(chr, [*range(32), *range(0x7F, 0xA0)]))
    script = f"console.log(JSON.stringify(withoutControls({json.dumps('aé€😀' + controls)})))"
    pasted = node(f"import {{withoutControls}} from './paste.js'; {script}")
    visible = "".join(c if c in "\t\n\r" else chr(0x2400 + ord(c)) for c in controls[:32])
    assert pasted == "aé€😀" + visible + 33 * "\ufffd"
