package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// Renumber returns an event's JSON data with another desk.epoch and desk.seq,
// for an event that was numbered and not published yet. Every other byte stays
// as it is. Data without such numbers is returned unchanged.
func Renumber(data []byte, epoch string, seq uint64) ([]byte, error) {
	name, err := json.Marshal(epoch)
	if err != nil {
		return nil, err
	}
	values := map[string][]byte{"epoch": name, "seq": strconv.AppendUint(nil, seq, 10)}
	out := bytes.NewBuffer(make([]byte, 0, len(data)+len(epoch)))
	copied := 0
	err = eachField(data, 0, func(key string, from, to int) error {
		if key != "desk" || data[from] != '{' {
			return nil
		}
		return eachField(data[from:to], from, func(key string, from, to int) error {
			if v, ok := values[key]; ok {
				out.Write(data[copied:from])
				out.Write(v)
				copied = to
			}
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("renumber an event: %w", err)
	}
	out.Write(data[copied:])
	return out.Bytes(), nil
}

// eachField calls fn for each field of a JSON object with the place of its
// value; base is added to it.
func eachField(object []byte, base int, fn func(key string, from, to int) error) error {
	d := json.NewDecoder(bytes.NewReader(object))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return errors.Join(errors.New("not a JSON object"), err)
	}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return err
		}
		key, _ := t.(string)
		var v json.RawMessage
		if err := d.Decode(&v); err != nil {
			return err
		}
		to := base + int(d.InputOffset())
		if err := fn(key, to-len(v), to); err != nil {
			return err
		}
	}
	return nil
}
