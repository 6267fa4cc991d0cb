package event

import (
	"strings"
	"testing"
)

func TestPersonRef(t *testing.T) {
	key := []byte("k")
	a := PersonRef(key, "resident", "11010519491231002X")
	if len(a) != 3+43 || !strings.HasPrefix(a, "p1_") || strings.Contains(a, "1101") {
		t.Errorf("PersonRef = %q, want p1_ and 43 characters", a)
	}
	if a != PersonRef(key, "resident", "11010519491231002X") {
		t.Error("PersonRef differs for the same input")
	}
	for _, other := range []string{PersonRef(key, "hmt_permit", "11010519491231002X"), PersonRef([]byte("l"), "resident", "11010519491231002X"), PersonRef(key, "resident", "110105194912310020")} {
		if a == other {
			t.Errorf("PersonRef = %q for another kind, key or number, too", a)
		}
	}
	if PersonRef(nil, "resident", "x") != "" || PersonRef(key, "resident", "") != "" {
		t.Error("PersonRef without key or number: not empty")
	}
}
