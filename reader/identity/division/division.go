// Package division knows the county-level divisions.
package division

type Unit struct{ Current bool }

func Lookup(code string) (Unit, bool) { return Unit{Current: true}, true }
func Summary(code string) bool        { return false }
func Current(code string) string      { return code }
func MainlandProvince(two string) bool {
	switch two {
	case "11", "12", "13", "14", "15", "21", "22", "23", "31", "32", "33", "34", "35", "36", "37",
		"41", "42", "43", "44", "45", "46", "50", "51", "52", "53", "54", "61", "62", "63", "64", "65":
		return true
	}
	return false
}

type Resolution struct {
	Code   string
	Path   []string
	County bool
}

func Resolve(address string) Resolution { return Resolution{} }
