package driver

import "context"

// Observed shows w every byte that passes over t. Without an observer it is t
// itself.
func Observed(t Transport, w WireObserver) Transport {
	if w == nil {
		return t
	}
	return &observed{t, w}
}

type observed struct {
	Transport
	w WireObserver
}

func (o *observed) Write(ctx context.Context, frame []byte) error {
	err := o.Transport.Write(ctx, frame)
	if err == nil {
		o.w.Sent(frame)
	}
	return err
}

func (o *observed) Read(ctx context.Context, buf []byte) (int, error) {
	n, err := o.Transport.Read(ctx, buf)
	if n > 0 {
		o.w.Received(buf[:n])
	}
	return n, err
}
