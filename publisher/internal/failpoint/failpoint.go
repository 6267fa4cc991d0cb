// Package failpoint stops an operation between two of its steps, in tests: a
// context carries the function that each step asks, so no option of a package is
// there for its tests alone.
package failpoint

import "context"

// Func is called with the name of a step; its error ends the operation there.
type Func func(step string) error

type key struct{}

// With returns a context whose operations ask f at each of their steps.
func With(ctx context.Context, f Func) context.Context { return context.WithValue(ctx, key{}, f) }

// From returns the function that ctx carries; without one nothing ever fails.
func From(ctx context.Context) Func {
	if f, ok := ctx.Value(key{}).(Func); ok {
		return f
	}
	return func(string) error { return nil }
}
