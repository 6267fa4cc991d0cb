package config

import (
	"encoding"
	"fmt"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml"
)

// Origin is where a key was set: a file with its line, or an environment variable.
type Origin struct {
	File string
	Line int // 0 where there is none
}

// String is the origin as compilers print places; a default has none.
func (o Origin) String() string {
	if o.Line == 0 {
		return o.File
	}
	return fmt.Sprintf("%s:%d", o.File, o.Line)
}

// Setting is one key with its value as YAML on one line. Secrets are not among
// them: the configuration holds the paths of their files.
type Setting struct {
	Key, Value string
	Origin     Origin // zero for a default
}

// Settings are all keys in the order of the annotated example.
func (c Config) Settings() ([]Setting, error) {
	var list []Setting
	var failed error
	eachKey(reflect.ValueOf(&c).Elem(), "", func(key string, v reflect.Value) {
		value, err := inline(v)
		if err != nil {
			failed = fmt.Errorf("%s: %w", key, err)
		}
		list = append(list, Setting{Key: key, Value: value, Origin: c.Origins[key]})
	})
	return list, failed
}

func inline(v reflect.Value) (string, error) {
	if m, ok := v.Interface().(encoding.TextMarshaler); ok {
		b, err := m.MarshalText()
		return string(b), err
	}
	if v.Kind() == reflect.Slice && v.Len() == 0 {
		return "[]", nil
	}
	b, err := yaml.MarshalWithOptions(v.Interface(), yaml.Flow(true))
	return strings.TrimSpace(string(b)), err
}
