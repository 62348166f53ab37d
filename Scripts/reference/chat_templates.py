"""Writes Tests/TokenizersTests/Expected/chat-templates.json: what Jinja, set up by transformers, makes of templates.

Run with a Python that has transformers and jinja2:  python Scripts/reference/chat_templates.py
The clock stands at 2024-07-06 15:04:09.
"""
import json
from datetime import datetime
from pathlib import Path

from transformers.utils import chat_template_utils

TESTS = Path(__file__).resolve().parents[2] / "Tests/TokenizersTests"


class StandingClock(datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime(2024, 7, 6, 15, 4, 9)


chat_template_utils.datetime = StandingClock

TOOLS = [
    {"type": "function", "function": {"name": "get_weather", "description": "Weather now.\nIn one place.", "parameters": {
        "type": "object", "properties": {
            "city": {"type": "string"}, "days": {"type": "integer"},
            "unit": {"enum": ["celsius", "<fahrenheit> & 'more'"]},
            "areas": {"type": "array", "items": {"type": "object", "properties": {"x": {"type": "number"}}, "required": ["x"]}}},
        "required": ["city"]}}},
    {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}},
]
CALL = {"id": "abcdef123", "type": "function",
        "function": {"name": "get_weather", "arguments": {"city": "Zürich \"West\"", "days": 2, "exact": 1.50, "none": None}}}
CONVERSATIONS = {
    "one question": {"messages": [{"role": "user", "content": "  Who are you?\n"}], "add_generation_prompt": True},
    "system and turns": {"messages": [
        {"role": "system", "content": "Be brief.\n"}, {"role": "user", "content": "Hi 👩‍👩‍👧"},
        {"role": "assistant", "content": "<think>\nhm\n</think>\n\n  Hello. "}, {"role": "user", "content": "é < è & \"q\""}],
        "add_generation_prompt": True, "enable_thinking": False},
    "tools": {"messages": [
        {"role": "user", "content": "Weather?"}, {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "abcdef123", "content": "{\"t\": 21}"},
        {"role": "assistant", "content": "21 degrees."}, {"role": "user", "content": "Thanks"}], "tools": TOOLS,
        "add_generation_prompt": True},
    "parts": {"messages": [{"role": "user", "content": [{"type": "text", "text": " see "}, {"type": "image"}]}], "add_generation_prompt": False},
    "two users": {"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}], "add_generation_prompt": False},
    "system in parts": {"messages": [
        {"role": "system", "content": [{"type": "text", "text": "Be brief. "}]}, {"role": "user", "content": [{"type": "text", "text": " Hi "}, {"type": "text", "text": "you"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "Yo"}]}, {"role": "user", "content": "?"}], "add_generation_prompt": True},
    "the assistant first": {"messages": [{"role": "assistant", "content": "Hello"}, {"role": "user", "content": "Hi"}], "add_generation_prompt": True},
    "content of no kind": {"messages": [{"role": "user", "content": 5}], "add_generation_prompt": True},
    "no messages": {"messages": [], "add_generation_prompt": True},
}
# Values that the small templates below use.
VALUES = {
    "messages": [
        {"role": "system", "content": "Be kind."}, {"role": "user", "content": "  Hi é \n"},
        {"role": "assistant", "content": "Yo"}, {"role": "user", "content": ""}],
    "tools": TOOLS, "n": 7, "x": -3, "f": 2.5, "big": 1e16, "small": 1e-5, "m": 1e15, "s": "Hello wORLD it's-me (ok)",
    "l": [3, 1, 2, 3], "d": {"b": 2, "A": 1, "c": None}, "e": "", "u": "ÀßÇ é ǆ ﬁ", "z": None, "t": True,
    "objs": [{"n": "b", "v": 2, "k": {"q": 1}}, {"n": "A", "v": 1}, {"n": "c", "v": 3, "k": {"q": 5}}],
}
# One line for one area; every value between bars is compared.
AREAS = [
    r'''{{ n + 1 }}|{{ n - x }}|{{ n * 2 }}|{{ n / 2 }}|{{ n // 2 }}|{{ x // 2 }}|{{ x % 5 }}|{{ n ** 3 }}|{{ -n }}|{{ +n }}|{{ 2.0 * 3 }}|{{ n ~ s }}''',
    r'''{{ big }}|{{ small }}|{{ m }}|{{ 0.1+0.2 }}|{{ 1e22 }}|{{ 123456.789 }}|{{ 1.0 }}|{{ 5e-324 }}|{{ 1/3 }}|{{ 100.0 }}|{{ -0.0 }}|{{ 0.0001 }}|{{ 1e100 }}''',
    r'''{{ d }}|{{ l }}|{{ objs }}|{{ (1,) }}|{{ (1,2) }}|{{ () }}|{{ z }}|{{ t }}|{{ nope }}|{{ [nope] is defined }}''',
    r'''{{ "a'b" }}|{{ ["a'b", 'a"b', "a'\"b", "\n\t\\é\x01\u200b"] }}''',
    r'''{{ 1 < 2 < 3 }}|{{ 1 < 3 < 2 }}|{{ 1 == 1.0 }}|{{ true == 1 }}|{{ 'a' in 'abc' }}|{{ 1 in l }}|{{ 'b' in d }}|{{ 9 not in l }}|{{ not true }}|{{ 'a' == "a" }}|{{ [1,2] == [1,2] }}|{{ none == false }}|{{ 'x' in nope }}''',
    r'''{{ s|upper }}|{{ s|lower }}|{{ s|title }}|{{ s|capitalize }}|{{ s.title() }}|{{ s.capitalize() }}|{{ u|upper }}|{{ u|lower }}|{{ u|title }}|{{ u.title() }}|{{ u|length }}''',
    r'''{{ s|length }}|{{ l|length }}|{{ d|length }}|{{ nope|length }}|{{ e|length }}''',
    r'''{{ '  a b '|trim }}|{{ 'xxaxx'|trim('x') }}|{{ '  a '.strip() }}|{{ ' a '.lstrip() }}|{{ ' a '.rstrip() }}|{{ 'abcab'.strip('ab') }}|''',
    r'''{{ 'a,b,c'.split(',') }}|{{ 'a,b,c'.split(',',1) }}|{{ ' a  b c '.split() }}|{{ ' a  b c '.split(None, 1) }}|{{ 'a,b,c'.rsplit(',',1) }}|{{ 'a b c'.rsplit(None,1) }}|{{ 'aXXb'.split('X') }}|{{ ''.split(',') }}|{{ ''.split() }}''',
    r'''{{ 'abc'.startswith('ab') }}|{{ 'abc'.startswith(('x','a')) }}|{{ 'abc'.endswith('bc') }}|{{ 'abcabc'.replace('b','X') }}|{{ 'abcabc'.replace('b','X',1) }}|{{ 'ab'.replace('','-') }}|{{ 'abcabc'|replace('c','') }}''',
    r'''{{ 'abcabc'.find('c') }}|{{ 'abcabc'.rfind('c') }}|{{ 'abc'.find('z') }}|{{ 'aaa'.count('a') }}|{{ 'é́x'.find('x') }}|{{ 'abc'.index('b') }}''',
    r'''{{ '{} {}'.format(1, 'a') }}|{{ '{0}{0} {b} {{x}}'.format('z', b=2) }}|{{ '%s is %d' % ('a', 3) }}|{{ '%s' % 5 }}|{{ '%s-%s'|format(1,2) }}''',
    r'''{{ 'abc'[0] }}|{{ 'abc'[-1] }}|{{ 'abc'[1:] }}|{{ 'abc'[::-1] }}|{{ 'abcdef'[1:5:2] }}|{{ 'abcdef'[-2:] }}|{{ l[1:] }}|{{ l[::-1] }}|{{ l[:-1] }}|{{ l[10:] }}|{{ l[-100:2] }}|{{ l[::2] }}|{{ l[3:0:-1] }}|{{ l[10] }}|{{ d['b'] }}|{{ d.A }}|{{ d['zz'] }}''',
    r'''{{ l|sort }}|{{ l|sort(reverse=true) }}|{{ l|unique|list }}|{{ l|first }}|{{ l|last }}|{{ l|reverse|list }}|{{ 'abc'|reverse }}|{{ l|sum }}|{{ l|max }}|{{ l|min }}|{{ l|join('-') }}|{{ l|list }}|{{ 'ab'|list }}|{{ d|list }}''',
    r'''{{ objs|map(attribute='n')|list }}|{{ objs|map(attribute='v')|list|length }}|{{ objs|map(attribute='zz', default=0)|list }}|{{ objs|selectattr('k','defined')|map(attribute='n')|join(',') }}|{{ objs|rejectattr('k')|list }}|{{ objs|selectattr('v','gt',1)|map(attribute='n')|list }}|{{ objs|selectattr('n','equalto','A')|list }}|{{ objs|sort(attribute='n')|map(attribute='n')|list }}|{{ objs|sort(attribute='v',reverse=true)|map(attribute='n')|list }}''',
    r'''{{ l|select('odd')|list }}|{{ l|reject('==',3)|list }}|{{ ['a','',none,'b']|select|list }}|{{ ['a','B']|map('upper')|list }}|{{ ['a,b']|map('replace',',','.')|list }}|{{ [1,2]|map('string')|join }}''',
    r'''{{ d|items|list }}|{{ d|dictsort }}|{{ d|dictsort(false,'key',true) }}|{{ d.items()|list }}|{{ d.keys()|list }}|{{ d.values()|list }}|{{ d.get('b') }}|{{ d.get('zz') }}|{{ d.get('zz','q') }}''',
    r'''{{ d|tojson }}|{{ objs|tojson }}|{{ s|tojson }}|{{ 'é\u0001\n"\\/<>&'|tojson }}|{{ big|tojson }}|{{ [1.0,0.1,1e-7]|tojson }}|{{ []|tojson }}|{{ {}|tojson }}|{{ 'é😀'|tojson(ensure_ascii=true) }}''',
    r'''{{ objs|tojson(indent=2) }}|{{ {}|tojson(indent=4) }}|{{ [[],{}]|tojson(indent=1) }}|{{ d|tojson(sort_keys=true) }}|{{ d|tojson(separators=(',',':')) }}''',
    r'''{{ 'a\nb\n\nc'|indent }}|{{ 'a\nb'|indent(2,true) }}|{{ 'a\n\nb'|indent(2,false,true) }}|{{ 'a\nb\n'|indent('> ') }}|{{ ''|indent(2) }}''',
    r'''{{ nope|default('q') }}|{{ ''|default('q') }}|{{ ''|default('q',true) }}|{{ none|d('q',boolean=true) }}|{{ nope|d }}''',
    r'''{{ '12'|int }}|{{ '3.7'|int }}|{{ 'x'|int }}|{{ 'x'|int(5) }}|{{ 2.9|int }}|{{ '1.5'|float }}|{{ 'q'|float }}|{{ n|float }}|{{ 5|string ~ 'a' }}|{{ 2.567|round(2) }}|{{ 2.5|round }}|{{ 2.1|round(0,'ceil') }}|{{ -3|abs }}|{{ true|int }}''',
    r'''{{ '<a href="x">&\'</a>'|e }}|{{ '<b>'|safe }}|{{ 'a b  c'|wordcount }}|{{ [1,2,3,4,5]|batch(2)|list }}|{{ [1,2,3]|batch(2,'x')|list }}''',
    r'''{{ z is none }}|{{ nope is undefined }}|{{ n is number }}|{{ t is number }}|{{ f is float }}|{{ n is integer }}|{{ t is integer }}|{{ t is boolean }}|{{ s is string }}|{{ d is mapping }}|{{ l is sequence }}|{{ s is sequence }}|{{ s is iterable }}|{{ n is iterable }}|{{ z is iterable }}|{{ d is iterable }}|{{ d is sequence }}|{{ nope is iterable }}|{{ n is odd }}|{{ n is divisibleby 7 }}|{{ n is divisibleby(2) }}|{{ 1 is in [1] }}|{{ n is not none and n is defined }}|{{ t is true }}|{{ 1 is true }}|{{ t is sameas true }}|{{ raise_exception is callable }}|{{ 'ab' is lower }}|{{ n is eq 7 }}|{{ n is ne(7) }}''',
    r'''{{ 'a' if n == 7 else 'b' }}|{{ 'a' if n == 8 }}|{{ 'x' if false else 'y' if false else 'z' }}|{{ (n == 7) and 'yes' }}|{{ nope or 'dflt' }}|{{ 0 or '' or none }}''',
    r'''{% for i in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.revindex }}{{ loop.revindex0 }}[{{ loop.previtem }},{{ loop.nextitem }}]{{ loop.cycle('a','b') }}{{ loop.changed(i) }} {% endfor %}''',
    r'''{% for i in l %}{% for j in l %}{{ loop.depth }}{{ loop.depth0 }}{% endfor %}{% endfor %}{{ d|attr('a') }}|{{ d|attr('a') is undefined }}|{{ namespace(a=1)|attr('a') }}''',
    r'''{% for i in l if i > 1 %}{{ i }}{{ loop.index }}{{ loop.last }}{% else %}none{% endfor %}|{% for i in [] %}x{% else %}empty{% endfor %}|{% for k, v in d.items() %}{{k}}={{v}};{% endfor %}|{% for k in d %}{{k}}{% endfor %}|{% for c in 'abc' %}{{c}}.{% endfor %}|{% for i in nope %}x{% endfor %}|{% for a, (b, c) in [(1,(2,3))] %}{{a}}{{b}}{{c}}{% endfor %}''',
    r'''{% set q = 1 %}{% for i in l %}{% set q = q + i %}{{ q }},{% endfor %}{{ q }}''',
    r'''{% set ns = namespace(q=0, w='a') %}{% for i in l %}{% set ns.q = ns.q + i %}{% endfor %}{{ ns.q }}{{ ns.w }}{{ ns.nope }}''',
    r'''{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set c = 1, 2 %}{{ c }}{% if true %}{% set inif = 5 %}{% endif %}{{ inif }}''',
    r'''{% set blk %}Hello {{ n }}{% set inner = 3 %}{% endset %}{{ blk|upper }}{{ inner }}{% set bf | upper | replace('X','y') %}abX{% endset %}{{ bf }}''',
    r'''{% macro mm(a, b=2, c='z') %}[{{ a }}|{{ b }}|{{ c }}|{{ n }}]{% endmacro %}{{ mm(1) }}{{ mm(1, c=3) }}{{ mm() }}{{ mm(b=1, a=5) }}{{ mm(1)|length }}''',
    r'''{% macro fact(k) %}{% if k <= 1 %}1{% else %}{{ k }}*{{ fact(k-1) }}{% endif %}{% endmacro %}{{ fact(5) }}''',
    r'''{% macro wrap() %}<{{ caller() }}>{% endmacro %}{% call wrap() %}in{{ n }}{% endcall %}|{% macro wrap2() %}<{{ caller(4) }}>{% endmacro %}{% call(v) wrap2() %}in{{ v }}{% endcall %}''',
    r'''{% filter upper %}abc{{ n }}x{% endfilter %}|{% with a=1, b=2 %}{{ a }}{{ b }}{% endwith %}{{ a }}''',
    r'''{% for i in range(10) %}{% if i == 2 %}{% continue %}{% endif %}{% if i == 5 %}{% break %}{% endif %}{{ i }}{% endfor %}|{{ range(3)|list }}|{{ range(5,1,-2)|list }}|{{ range(2,4)|list }}''',
    r'''{% generation %}gen{{ n }}{% endgeneration %}|{% raw %}{{ not run }} {% if %}{% endraw %}|{# comment #}|{{ dict(a=1,b='x') }}|{{ strftime_now('%d %b %Y %H:%M:%S %B %A %a %j %p %I %y %m %-d %%') }}''',
    r'''{{ "a" "b" }}|{{ 'tab\there' }}|{{ '\u00e9\x41\101\'' }}|{{ "multi
line" }}|{{ [1,2,] }}|{{ {'a':1,} }}|{{ 1_000 }}|{{ {'a': {'b': [1,2]}}.a.b[1] }}|{{ l.0 }}|{{ 'abc'.upper().lower()[0] }}''',
    r'''{{ messages[0].role }}|{{ messages[0]['content'] }}|{{ messages|length }}|{{ messages[-1].content == '' }}|{{ messages[1].nope }}|{{ messages[1].nope is defined }}|{{ tools[0].function.parameters.properties|tojson }}''',
    r'''{{ -x|abs }}|{{ -2 ** 2 }}|{{ 2 ~ 3 ~ 'x' }}|{{ not 1 == 2 }}|{{ 1 if true else 2 + 5 }}|{{ 'a' ~ 1 ~ 2 }}|{{ (1, 2)[0] }}|{{ 7 % 3 * 2 }}|{{ 'x' * 3 }}|{{ [1] * 2 }}|{{ [1] + [2] }}''',
    r'''{{ 'a-b_c'|title }}|{{ "they're bill's"|title }}|{{ "they're bill's".title() }}|{{ 'ǆ'.title() }}|{{ 'İ'.lower()|length }}''',
    r'''{{ 'abc'.isdigit() }}|{{ '12'.isdigit() }}|{{ '²'.isdigit() }}|{{ 'aé'.isalpha() }}|{{ 'a1'.isalnum() }}|{{ ' \n'.isspace() }}|{{ 'AB1'.isupper() }}|{{ 'x'.zfill(3) }}|{{ '-5'.zfill(4) }}|{{ 'a'.ljust(3) }}|{{ 'a'.center(4) }}|{{ 'ab'.center(5,'*') }}|{{ 'a=b=c'.partition('=') }}|{{ 'a\nb\r\nc'.splitlines() }}|{{ 'prefix-x'.removeprefix('prefix-') }}|{{ 'x.py'.removesuffix('.py') }}|{{ 'aBc'.swapcase() }}|{{ ','.join(['a','b']) }}''',
    r'''{{ [3,1]|sort|first }}|{{ objs|groupby('v')|list|length }}|{{ ['b','A','a']|sort }}|{{ ['b','A','a']|unique|list }}|{{ ['b','A']|sort(case_sensitive=true) }}|{{ d|attr('zz') }}|{{ [[1,2],[3]]|sum(start=[]) }}|{{ objs|sum(attribute='v') }}''',
    r'''{{ 1 > 2 or 3 > 2 and not false }}|{{ l[1] + l[-1] }}|{{ l.index(1) }}|{{ l.count(3) }}|{{ 'ab' < 'b' }}|{{ [1,2] < [1,3] }}|{{ '' is string }}|{{ loop is defined }}''',
]
WHITE_SPACE = [
    '{% if true %}\n  a\n{% endif %}\nb',
    '  {% if true %}  x{% endif %}  \n y',
    '{%- if true -%}  x  {%- endif -%}  y',
    'a  {{- 1 -}}  b',
    'a\n\n{{ 1 }}\n\nb\n',
    'a\n  {# c #}\nb',
    'a {# c #}\nb',
    '{%+ if true +%}\n x\n{% endif %}',
    '  {%+ if true %}\n x\n  {%+ endif %}z',
    '{% for i in [1,2] %}\n  - {{ i }}\n{% endfor %}\nend\n\n',
    'x\r\n{% if true %}\r\ny\r\n{% endif %}\r\n',
    '{% if true %}\n\n a{% endif %}{% if true %} b {% endif %}\n c',
    '{% raw -%}  {{x}}  {%- endraw %}\n q',
    'a\n   {% raw %}\n {{x}}\n  {% endraw %}\nq',
    '\t{% set x = 1 %}\n\t{{ x }}\n',
    '{{ 1 }}\n',
    '{{ 1 }}\n\n',
    '{% if true %}x{% endif %}\n',
    'text {% if true %} \n {% endif %} z',
    '{%- set a = 1 %}\n\n{{ a }}',
    '{#- c -#}  x',
    'a\xa0\n\xa0{% if true %}b{% endif %}',
    'a {%- if true %}\n\nb{% endif %}\n   {%- if true %} c{% endif %}',
    '{% set x %}\n  abc\n{% endset %}[{{ x }}]',
    '{{ {"a":{"b":1}} }}',
    '{{ "}}" }}',
    '{{ "%}" }}{% if "%}" %}k{% endif %}',
    '{% for i in range(3) -%}\n {{ i }}\n{%- endfor %}',
    'x {{+ 1 }}',
]
ERRORS = [
    '{{ nope.x }}',
    '{{ nope + 1 }}',
    '{{ none + 1 }}',
    "{{ 'a' + 1 }}",
    '{{ raise_exception("no way") }}',
    '{{ 1/0 }}',
    '{{ l.append(1) }}',
    '{{ nope|tojson }}',
    '{{ none|length }}',
    '{% for i in 5 %}{% endfor %}',
    '{{ nope() }}',
    '{{ 1 < "a" }}',
    '{{ foo',
    '{% if %}',
    '{% endif %}',
    '{% if true %}',
    '{{ 1 + }}',
    '{{ s|nofilter }}',
    '{{ s is notest }}',
    '{% unknown %}',
    '{{ range(1000000) }}',
    '{% set x.y = 1 %}',
    '{{ mm(1,2,3,4,5) }}',
    '{{ "abc }}',
    '{{ a b }}',
    '{{ d.items.x.y }}',
    '{% macro q(a) %}{% endmacro %}{{ q(1,2) }}',
    '{% macro q(a) %}{% endmacro %}{{ q(z=2) }}',
    '{% set a, b = [1] %}',
    '{{ "a" in 5 }}',
    '{{ messages[0].content.foo.bar }}',
]


def render(source, values):
    values = {"documents": None, "tools": None, "messages": [], "add_generation_prompt": False} | values
    try:
        return {"text": chat_template_utils._compile_jinja_template(source).render(**values)}
    except Exception as error:
        return {"error": type(error).__name__}


def main():
    special = {"bos_token": "<s>", "eos_token": "</s>"}
    styles = []
    for path in sorted((TESTS / "Templates").glob("*.jinja")):
        for name, values in CONVERSATIONS.items():
            styles.append({"file": path.name, "conversation": name} | render(path.read_text(), values | special))
    small = [{"template": source} | render(source, VALUES) for source in AREAS + WHITE_SPACE + ERRORS]
    expected = {"conversations": {name: values | special for name, values in CONVERSATIONS.items()}, "styles": styles,
                "values": VALUES, "small": small}
    for case in small:
        assert ("error" in case) == (case["template"] in ERRORS), case
    path = TESTS / "Expected/chat-templates.json"
    path.write_text(json.dumps(expected, ensure_ascii=False, indent=1) + "\n")
    print(path, len(styles), len(small))


main()
