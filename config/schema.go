package config

import (
	"encoding"
	"reflect"
)

// Schema is the JSON Schema (2020-12) of the file, made from Config itself.
func Schema() map[string]any {
	s := object(reflect.TypeOf(Config{}))
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["$id"] = "urn:idtap:schema:config"
	s["title"] = "idtap configuration"
	return s
}

func object(t reflect.Type) map[string]any {
	properties := map[string]any{}
	for i := range t.NumField() {
		f := t.Field(i)
		if key(f) == "-" {
			continue
		}
		p := schemaOf(f.Type)
		if doc := f.Tag.Get("doc"); doc != "" {
			p["description"] = doc
		}
		if list := choices(f); list != nil {
			p["enum"] = list
		}
		properties[key(f)] = p
	}
	return map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
}

var textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()

func schemaOf(t reflect.Type) map[string]any {
	switch {
	case t == reflect.TypeFor[Baud]():
		return map[string]any{"enum": []any{"auto", 115200, 57600, 38400, 19200, 9600}}
	case reflect.PointerTo(t).Implements(textUnmarshaler):
		return map[string]any{"type": []string{"string", "integer"}}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return schemaOf(t.Elem())
	case reflect.Struct:
		return object(t)
	case reflect.Slice:
		return map[string]any{"type": "array", "items": schemaOf(t.Elem())}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.String:
		return map[string]any{"type": "string"}
	}
	return map[string]any{"type": "integer"}
}
