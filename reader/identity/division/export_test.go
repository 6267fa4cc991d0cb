package division

import "runtime"

// LoadOnce builds the table anew.
func LoadOnce() { load(source) }

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
