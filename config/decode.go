package config

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"idtap/internal/text"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// decoder walks a YAML tree and the Config side by side. It is our own walk, on
// the library's parser, so that every problem has its line and key and all of
// them come in one run.
type decoder struct {
	file     string
	origins  map[string]Origin // key path -> where it was set, for the validation
	problems []error
}

func (d *decoder) problem(line int, key, format string, args ...any) {
	d.problems = append(d.problems, Problem{File: d.file, Line: line, Key: key, Text: say(format, args...)})
}

// wrong is the problem of a value that set refuses.
func (d *decoder) wrong(line int, key string, err error) {
	said := text.Plain(err.Error())
	var v *valueError
	if errors.As(err, &v) {
		said = v.Text
	}
	d.problems = append(d.problems, Problem{File: d.file, Line: line, Key: key, Text: said})
}

// origin is where a key is set, or where the nearest key above it is; a key that
// nobody sets has the last file read and no line.
func (d *decoder) origin(key string) Origin {
	for key != "" {
		if o, ok := d.origins[key]; ok {
			return o
		}
		key = key[:max(strings.LastIndexAny(key, ".["), 0)]
	}
	return Origin{File: d.file}
}

// set notes where a key is set; what an earlier file set below it is gone.
func (d *decoder) set(key string, line int) {
	for k := range d.origins {
		if strings.HasPrefix(k, key+"[") {
			delete(d.origins, k)
		}
	}
	d.origins[key] = Origin{File: d.file, Line: line}
}

func (d *decoder) document(b []byte, c *Config) {
	b = bytes.TrimPrefix(b, []byte("\ufeff")) // editors on Windows begin files so
	if !utf8.Valid(b) || bytes.IndexByte(b, 0) >= 0 {
		d.problem(firstForeign(b), "", "not_utf8")
		return
	}
	f, err := parser.ParseBytes(b, 0)
	if err != nil {
		var y yaml.Error
		line := 0
		message := err.Error()
		if errors.As(err, &y) {
			message = y.GetMessage()
			if t := y.GetToken(); t != nil && t.Position != nil {
				line = t.Position.Line
			}
		}
		d.problem(line, "", "not_yaml", message)
		return
	}
	if len(f.Docs) > 1 {
		d.problem(line(f.Docs[1].Body), "", "second_document")
		return
	}
	if len(f.Docs) == 1 && f.Docs[0].Body != nil {
		d.value(f.Docs[0].Body, "", reflect.ValueOf(c).Elem())
	}
}

// firstForeign is the first line with bytes that are not UTF-8, or a NUL.
func firstForeign(b []byte) int {
	n := 1
	for text := range bytes.Lines(b) {
		if !utf8.Valid(text) || bytes.IndexByte(text, 0) >= 0 {
			break
		}
		n++
	}
	return n
}

func line(n ast.Node) int {
	if n == nil || n.GetToken() == nil || n.GetToken().Position == nil {
		return 0
	}
	return n.GetToken().Position.Line
}

func (d *decoder) value(n ast.Node, key string, v reflect.Value) {
	if n.Type() == ast.NullType || n.Type() == ast.CommentType || n.Type() == ast.CommentGroupType {
		return // nothing given: the default stays
	}
	d.set(key, line(n))
	if v.Kind() == reflect.Pointer {
		p := reflect.New(v.Type().Elem())
		d.value(n, key, p.Elem())
		v.Set(p)
		return
	}
	switch {
	case isText(v):
		d.scalar(n, key, v)
	case v.Kind() == reflect.Struct:
		d.mapping(n, key, v)
	case v.Kind() == reflect.Slice:
		seq, ok := n.(*ast.SequenceNode)
		if !ok {
			d.problem(line(n), key, "want_list")
			return
		}
		list := reflect.MakeSlice(v.Type(), len(seq.Values), len(seq.Values))
		for i, item := range seq.Values {
			d.value(item, fmt.Sprintf("%s[%d]", key, i), list.Index(i))
		}
		v.Set(list)
	default:
		d.scalar(n, key, v)
	}
}

func isText(v reflect.Value) bool {
	_, ok := v.Addr().Interface().(encoding.TextUnmarshaler)
	return ok
}

func (d *decoder) mapping(n ast.Node, key string, v reflect.Value) {
	var pairs []*ast.MappingValueNode
	switch m := n.(type) {
	case *ast.MappingNode:
		pairs = m.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{m}
	default:
		d.problem(line(n), key, "want_keys", strings.Join(keys(v.Type()), ", "))
		return
	}
	for _, pair := range pairs {
		name := pair.Key.GetToken().Value
		path := join(key, name)
		i := slices.Index(keys(v.Type()), name)
		if i < 0 {
			d.problem(line(pair.Key), path, "no_such_key", join(key, nearest(name, keys(v.Type()))))
			continue
		}
		d.value(pair.Value, path, field(v, name))
		if _, given := d.origins[path]; given {
			d.origins[path] = Origin{File: d.file, Line: line(pair.Key)}
		}
	}
}

func (d *decoder) scalar(n ast.Node, key string, v reflect.Value) {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode, *ast.SequenceNode:
		d.problem(line(n), key, "want_value")
		return
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode:
		d.problem(line(n), key, "no_anchors")
		return
	}
	text := n.GetToken().Value
	if block, ok := n.(*ast.LiteralNode); ok {
		text = strings.TrimSpace(block.Value.Value)
	}
	if err := set(v, text); err != nil {
		d.wrong(line(n), key, err)
	}
}

// set gives a scalar its value from text.
func set(v reflect.Value, text string) error {
	if t, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return t.UnmarshalText([]byte(text))
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return wrong("not_bool", text)
		}
		v.SetBool(b)
	case reflect.Int:
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return wrong("not_whole", text)
		}
		v.SetInt(n)
	case reflect.Uint8, reflect.Uint32:
		n, err := strconv.ParseUint(text, 0, v.Type().Bits())
		if err != nil {
			return wrong("not_whole_from", text, uint64(1)<<v.Type().Bits()-1)
		}
		v.SetUint(n)
	default:
		return wrong("not_from_text", v.Type())
	}
	return nil
}

// environment lays IDTAP_<KEY> over the configuration: IDTAP_DESK_ID for
// desk.id. Lists of values are comma-separated, lists of keys are YAML.
func (d *decoder) environment(s Source, c *Config) {
	known := map[string]bool{}
	eachKey(reflect.ValueOf(c).Elem(), "", func(key string, v reflect.Value) {
		name := "IDTAP_" + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
		known[name] = true
		text := s.Getenv(name)
		if text == "" {
			return
		}
		e := decoder{file: "environment " + name, origins: d.origins}
		e.set(key, 0)
		switch {
		case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.String:
			v.Set(reflect.ValueOf(strings.Split(text, ",")))
		case v.Kind() == reflect.Slice:
			if f, err := parser.ParseBytes([]byte(text), 0); err != nil || len(f.Docs) != 1 {
				e.problem(0, key, "want_yaml_list")
			} else {
				e.value(f.Docs[0].Body, key, v)
			}
		default:
			if err := set(v, text); err != nil {
				e.wrong(0, key, err)
			}
		}
		d.problems = append(d.problems, e.problems...)
	})
	for _, pair := range s.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		if strings.HasPrefix(name, "IDTAP_") && !known[name] {
			names := make([]string, 0, len(known))
			for n := range known {
				names = append(names, n)
			}
			slices.Sort(names)
			c.Warnings = append(c.Warnings, say("no_such_variable", name, nearest(name, names)))
		}
	}
}

// eachKey visits every key that can be set: scalars and lists.
func eachKey(v reflect.Value, prefix string, visit func(key string, v reflect.Value)) {
	for _, name := range keys(v.Type()) {
		f := field(v, name)
		if f.Kind() == reflect.Struct && !isText(f) {
			eachKey(f, join(prefix, name), visit)
			continue
		}
		visit(join(prefix, name), f)
	}
}

func join(prefix, name string) string {
	if prefix == "" {
		return name
	}
	return prefix + "." + name
}

// keys lists the YAML keys of a struct in order.
func keys(t reflect.Type) []string {
	var list []string
	for i := range t.NumField() {
		if name := key(t.Field(i)); name != "-" {
			list = append(list, name)
		}
	}
	return list
}

func key(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	return name
}

func field(v reflect.Value, name string) reflect.Value {
	for i := range v.NumField() {
		if key(v.Type().Field(i)) == name {
			return v.Field(i)
		}
	}
	return reflect.Value{}
}

// nearest is the candidate with the smallest edit distance.
func nearest(name string, candidates []string) string {
	return slices.MinFunc(candidates, func(a, b string) int { return distance(name, a) - distance(name, b) })
}

func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost = min(diagonal, row[j], row[j-1]) + 1
			}
			diagonal, row[j] = row[j], cost
		}
	}
	return row[len(b)]
}
