package main

import (
	"bytes"
	"testing"
	"time"
)

func TestSmallFleet(t *testing.T) {
	var out bytes.Buffer
	err := run(t.Context(), plan{desks: 12, rate: 5, phase: 1500 * time.Millisecond, swallow: 0.02}, &out)
	t.Log("\n" + out.String())
	if err != nil {
		t.Fatal(err)
	}
}
