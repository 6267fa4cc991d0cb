package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"idtap/driver/mock"
	"idtap/driver/sam"
	"idtap/driver/simcard"
)

// simulated is a simulated reader as a device that other programs open.
type simulated interface {
	Address() string                 // what they open
	Serve(ctx context.Context) error // answers them until the context ends
}

// simulation is the command's flags.
type simulation struct {
	pty    bool
	tcp    string
	vpcd   string
	cards  string
	baud   int
	fault  string
	quirk  string
	every  time.Duration
	repeat bool
}

func (a *app) simulateCommand() *cobra.Command {
	var s simulation
	cmd := &cobra.Command{
		Use: "simulate (--pty | --tcp ADDR | --vpcd ADDR)",

		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.simulate(cmd.Context(), s) },
	}
	f := cmd.Flags()
	f.BoolVar(&s.pty, "pty", false, "")
	f.StringVar(&s.tcp, "tcp", "", "")
	f.StringVar(&s.vpcd, "vpcd", "", "")
	f.StringVar(&s.cards, "cards", "seed:1", "")
	f.IntVar(&s.baud, "baud", sam.Rates[0], "")
	f.StringVar(&s.fault, "fault", "", "")
	f.StringVar(&s.quirk, "quirk", "", "")
	f.DurationVar(&s.every, "every", 2*time.Second, "")
	f.BoolVar(&s.repeat, "repeat", false, "")
	return cmd
}

func (a *app) simulate(ctx context.Context, s simulation) error {
	log, err := a.logger("info", "console")
	if err != nil {
		return err
	}
	options, err := s.options()
	if err != nil {
		return usage(err)
	}
	cards, err := simcard.Load(s.cards)
	if err != nil {
		return usage(fmt.Errorf("--cards: %w", err))
	}
	m := mock.NewModule(options)
	device, err := s.open(m)
	if err != nil {
		return err
	}
	fmt.Fprintln(a.out, device.Address())

	ctx, stop := context.WithCancel(ctx)
	defer stop()
	placing := make(chan struct{})
	go func() {
		defer close(placing)
		s.placeAll(ctx, log, m, cards)
	}()
	err = device.Serve(ctx)
	stop()
	<-placing
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// options turns the flags into a module's options.
func (s simulation) options() (mock.Options, error) {
	asked := 0
	for _, set := range []bool{s.pty, s.tcp != "", s.vpcd != ""} {
		if set {
			asked++
		}
	}
	if asked != 1 {
		return mock.Options{}, texts.Errorf("want_line")
	}
	if !slices.Contains(sam.Rates, s.baud) {
		return mock.Options{}, texts.Errorf("want_baud", s.baud, sam.Rates)
	}
	if s.every < 0 {
		return mock.Options{}, texts.Errorf("want_every", s.every)
	}
	faults, err := mock.ParseFaults(s.fault)
	if err != nil {
		return mock.Options{}, fmt.Errorf("--%w", err)
	}
	if s.tcp == "" && faults.Has("unplug") {
		return mock.Options{}, texts.Errorf("unplug_tcp")
	}
	quirks, err := mock.ParseQuirks(s.quirk)
	if err != nil {
		return mock.Options{}, fmt.Errorf("--%w", err)
	}
	timing := mock.DeskTiming
	timing.Baud = s.baud
	return mock.Options{Clock: clockwork.NewRealClock(), Timing: timing, Quirks: quirks, Faults: faults}, nil
}

// open makes the device that the flags ask for.
func (s simulation) open(m *mock.Module) (simulated, error) {
	switch {
	case s.pty:
		return mock.OpenPTY(m)
	case s.vpcd != "":
		return mock.NewVPCDCard(m, s.vpcd), nil
	}
	return mock.ListenTCP(m, s.tcp)
}

// placeAll lays the cards down one after another.
func (s simulation) placeAll(ctx context.Context, log zerolog.Logger, m *mock.Module, cards []simcard.Card) {
	clock := clockwork.NewRealClock()
	hand := mock.Hand{Module: m}
	for round := 0; round == 0 || s.repeat; round++ {
		for i, c := range cards {
			next := clock.After(s.every)
			read, err := hand.Tap(ctx, c)
			if err != nil {
				return
			}
			log.Info().Int("card", i+1).Int("of", len(cards)).Str("kind", c.Kind).Bool("read", read).Msg("card lifted")
			select {
			case <-next:
			case <-ctx.Done():
				return
			}
		}
	}
	log.Info().Interface("faults", m.Injected()).Msg("every card was placed; the reader stays, empty")
}
