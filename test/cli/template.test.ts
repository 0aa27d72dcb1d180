import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Template } from '../../src/cli/template/template.ts'

const DATA = {
  Name: 'web',
  Count: 3,
  Ratio: 1.5,
  On: true,
  Off: false,
  Nothing: null,
  List: ['a', 'b', 'c'],
  Empty: [],
  Map: { b: 2, a: 1 },
  Deep: { 'com.example/key': { Value: 'x' }, Ports: { '80/tcp': [{ HostPort: '8080' }] } },
  Label: (key: unknown) => `label ${key}`
}

/** What Go 1.22's text/template gives, with the functions of Docker's client. */
const CASES: readonly [template: string, text: string][] = [
  ['plain', 'plain'],
  ['{{.Name}}', 'web'],
  ['{{ .Name }}-{{.Count}}', 'web-3'],
  ['a {{- .Name -}} b', 'awebb'],
  ['{{/* nothing */}}x{{- /* nothing */ -}} y', 'xy'],
  ['{{.List}} {{.Map}} {{.Empty}} {{.On}} {{.Ratio}}', '[a b c] map[a:1 b:2] [] true 1.5'],
  ['{{.Nothing}}', '<nil>'],
  ['{{json .Map}} {{json .List}} {{json .Name}} {{json .Nothing}}', '{"b":2,"a":1} ["a","b","c"] "web" null'],
  ['{{.Deep.Ports}}', 'map[80/tcp:[map[HostPort:8080]]]'],
  ['{{index .List 1}} {{index .Map "a"}} {{index .Deep "com.example/key" "Value"}}', 'b 1 x'],
  ['{{(index (index .Deep.Ports "80/tcp") 0).HostPort}}', '8080'],
  ['{{index .Map "none"}}|', '|'],
  ['{{if .On}}yes{{end}}{{if .Off}}no{{else}}off{{end}}', 'yesoff'],
  ['{{if .Empty}}a{{else if .Nothing}}b{{else}}c{{end}}', 'c'],
  ['{{if and .On .Count}}a{{end}}{{if or .Off .Name}}b{{end}}{{if not .Off}}c{{end}}', 'abc'],
  ['{{and .Off .Nope}} {{or .Name .Nope}}', 'false web'],
  ['{{range .List}}<{{.}}>{{end}}', '<a><b><c>'],
  ['{{range $i, $e := .List}}{{$i}}{{$e}}{{end}}', '0a1b2c'],
  ['{{range $k, $v := .Map}}{{$k}}={{$v}} {{end}}', 'a=1 b=2 '],
  ['{{range .Empty}}x{{else}}none{{end}}', 'none'],
  ['{{range .List}}{{$.Name}}{{end}}', 'webwebweb'],
  ['{{with .Deep}}{{len .Ports}}{{end}}{{with .Nothing}}x{{else}}y{{end}}', '1y'],
  ['{{$x := .Name}}{{$x}}{{$x = "new"}}{{$x}}', 'webnew'],
  ['{{$x := "a"}}{{range .List}}{{$x = .}}{{end}}{{$x}}', 'c'],
  ['{{.Name | upper | printf "%s!"}}', 'WEB!'],
  ['{{printf "%-5s|%5s|%05d|%q|%v|%.2f|%x|%%" "a" "b" 7 "c" .List 1.239 255}}', 'a    |    b|00007|"c"|[a b c]|1.24|ff|%'],
  ['{{printf "%s"}} {{printf "x" 1}}', '%!s(MISSING) x%!(EXTRA number=1)'],
  ['{{join .List ","}} {{split "a/b" "/"}} {{lower "AB"}} {{title "ab cd"}} {{truncate "abcdef" 3}}', 'a,b,c [a b] ab Ab Cd abc'],
  ['{{len .Name}} {{len .List}} {{len .Map}}', '3 3 2'],
  ['{{eq .Name "web"}} {{eq .Count 1 2 3}} {{ne .Name "x"}} {{lt 1 2}} {{ge 2 2}}', 'true true true true true'],
  ['{{slice .Name 1 2}} {{slice .List 1}}', 'e [b c]'],
  ['{{println "a" 1}}', 'a 1\n'],
  ['{{.Label "k"}} {{"x" | .Label}}', 'label k label x'],
  ['{{"quoted \\"x\\" \\t"}}{{`raw \\t`}}', 'quoted "x" \traw \\t'],
  ["{{'a'}} {{0x10}} {{-5}}", '97 16 -5'],
  ['{{true}} {{if eq (len .List) 3}}three{{end}}', 'true three']
]

const ERRORS: readonly [template: string, message: string][] = [
  ['{{.Nope}}', 'template: :1:2: executing "" at <.Nope>: map has no entry for key "Nope"'],
  ['a\n {{ .Deep.Nope }}', 'template: :2:4: executing "" at <.Deep.Nope>: map has no entry for key "Nope"'],
  ['{{.Name.More}}', `template: :1:2: executing "" at <.Name.More>: can't evaluate field More in type interface {}`],
  ['{{.Nothing.X}}', 'template: :1:2: executing "" at <.Nothing.X>: nil data; no entry for key "X"'],
  ['{{index .List 9}}', 'template: :1:2: executing "" at <index>: error calling index: index out of range: 9'],
  ['{{.Name', 'template: :1: unclosed action'],
  ['{{nope .Name}}', 'template: :1: function "nope" not defined'],
  ['{{$x}}', 'template: :1: undefined variable "$x"'],
  ['{{if .On}}', 'template: :1: unexpected EOF'],
  ['{{end}}', 'template: :1: unexpected {{end}}'],
  ['{{if .On}}a{{else}}b{{else}}c{{end}}', 'template: :1: expected end; found {{else}}'],
  ['{{"a', 'template: :1: unterminated quoted string'],
  ['{{(.Name}}', 'template: :1: unclosed left paren'],
  ['{{if}}x{{end}}', 'template: :1: missing value for if'],
  ['{{.__proto__}}', 'template: :1:2: executing "" at <.__proto__>: map has no entry for key "__proto__"']
]

describe('template', () => {
  for (const [template, text] of CASES) it(template, () => assert.equal(new Template(template).execute(DATA), text))
  for (const [template, message] of ERRORS) {
    it(`refuses ${template}`, () => assert.throws(() => new Template(template).execute(DATA), { name: 'TemplateError', message }))
  }
})
