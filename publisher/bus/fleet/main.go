// Fleet is many desks against a three-node cluster on this machine, all in one
// process: they tap, the stream's leader is killed and comes back, all desks are
// cut off and released at once, and some acknowledgements get lost all the
// while. It prints throughput and the time from acceptance to delivery, and
// fails if one event was lost or stored twice.
//
//	go run ./publisher/bus/fleet [-desks 300] [-rate 1] [-phase 10s] [-swallow 0.01]
//
// The queues are in memory: the path from queue to stream is what is measured.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"
)

func main() {
	var p plan
	flag.IntVar(&p.desks, "desks", 300, "how many desks")
	flag.Float64Var(&p.rate, "rate", 1, "taps per desk and second")
	flag.DurationVar(&p.phase, "phase", 10*time.Second, "length of each phase")
	flag.Float64Var(&p.swallow, "swallow", 0.01, "share of acknowledgements that get lost")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, p, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "fleet:", err)
		os.Exit(1)
	}
}
