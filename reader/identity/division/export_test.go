package division

import (
	"runtime"
	"strings"
)

// LoadOnce builds the table again.
func LoadOnce() { load(source) }

// ShortNames returns the names of a unit beside its full ones.
func ShortNames(code string) []string {
	t := loaded()
	i, _ := t.find(code)
	var out []string
	for _, e := range t.index.entries {
		if int(e.unit) == i && !e.short && !strings.HasSuffix(e.name, "自治"+lastRune(e.name)) && e.name != t.units[i].Name {
			out = append(out, e.name)
		}
	}
	return out
}

// LoadForBench is the heap that a table keeps beside its embedded source.
func LoadForBench() int64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	t := load(source)
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(t)
	return int64(after.HeapAlloc) - int64(before.HeapAlloc) + int64(len(source))
}
