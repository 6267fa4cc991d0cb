package pcsc

import (
	"bytes"
	_ "embed"
	"encoding/csv"
	"fmt"
	"strings"
	"sync"
)

// table is one line per reader model that is known: pattern of the reader's
// name, pattern of the ATR it gives an ID card in hex (empty: any), profile,
// model, and how that is known. docs/pcsc.md says how to add one.
//
//go:embed models.csv
var table []byte

type model struct {
	pattern, atr  string
	profile, name string
	source        string
}

var models = sync.OnceValue(func() []model {
	list, err := readModels(table)
	if err != nil {
		panic(err) // embedded; a test reads it
	}
	return list
})

func readModels(table []byte) ([]model, error) {
	rows, err := csv.NewReader(bytes.NewReader(table)).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("models: %w", err)
	}
	if len(rows) == 0 || strings.Join(rows[0], ",") != "name,atr,profile,model,source" {
		return nil, fmt.Errorf("models: want the columns name, atr, profile, model, source")
	}
	list := make([]model, 0, len(rows)-1)
	for i, r := range rows[1:] {
		m := model{pattern: r[0], atr: strings.ToUpper(r[1]), profile: r[2], name: r[3], source: r[4]}
		if m.pattern == "" || m.name == "" || m.source == "" || m.profile != profilePaged && m.profile != profileUID {
			return nil, fmt.Errorf("models: line %d is incomplete or has a profile other than paged and uid", i+2)
		}
		list = append(list, m)
	}
	return list, nil
}

// modelOf finds a reader in the table. A line with an ATR fits only a reader in
// which a card of that ATR lies.
func modelOf(reader string, atr []byte) model {
	for _, m := range models() {
		if match(m.pattern, reader) && (m.atr == "" || match(m.atr, fmt.Sprintf("%X", atr))) {
			return m
		}
	}
	return model{}
}
