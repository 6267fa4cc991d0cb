package event

import (
	"strings"
	"testing"
)

func TestPersonRef(t *testing.T) {
	key := []byte("k")
	a := PersonRef(key, "resident", "11010519491231002X")
	if len(a) != 3+43 || !strings.HasPrefix(a, "p1_") || strings.Contains(a, "1101") {
		t.Errorf("ref %q", a)
	}
	if a != PersonRef(key, "resident", "11010519491231002X") {
		t.Error("not the same for the same")
	}
	for _, other := range []string{PersonRef(key, "hmt_permit", "11010519491231002X"), PersonRef([]byte("l"), "resident", "11010519491231002X"), PersonRef(key, "resident", "110105194912310020")} {
		if a == other {
			t.Error("the same for another kind, key or number")
		}
	}
	if PersonRef(nil, "resident", "x") != "" || PersonRef(key, "resident", "") != "" {
		t.Error("a ref without key or number")
	}
}
