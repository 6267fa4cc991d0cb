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
		Use:   "simulate (--pty | --tcp ADDR | --vpcd ADDR)",
		Short: a.say("模拟读卡器，供其他程序打开", "A simulated reader that other programs can open"),
		Long: a.say(
			"模拟读卡器。第一行单独输出地址，随后逐张放卡、等待读取、取走，直到 Ctrl-C。格式见 docs/simulator.md。",
			"A simulated reader. Its address is the first line, alone; then cards are placed, read and lifted one after\nanother until Ctrl-C. docs/simulator.md documents the formats."),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.simulate(cmd.Context(), s) },
	}
	f := cmd.Flags()
	f.BoolVar(&s.pty, "pty", false, "serve a pseudo terminal (Linux)")
	f.StringVar(&s.tcp, "tcp", "", "serve a TCP address, e.g. 127.0.0.1:8234; port 0 picks one")
	f.StringVar(&s.vpcd, "vpcd", "", "be the card in a slot of vpcd, the virtual PC/SC reader, e.g. 127.0.0.1:35963; see docs/pcsc.md")
	f.StringVar(&s.cards, "cards", "seed:1", "cards file, or seed:N for generated cards")
	f.IntVar(&s.baud, "baud", sam.Rates[0], "bits per second of the line")
	f.StringVar(&s.fault, "fault", "", "what the line does to answers, e.g. flip=0.02,split=7,junk=0.1,stall=13")
	f.StringVar(&s.quirk, "quirk", "", "what the firmware does differently, e.g. refinds,power-up=2s")
	f.DurationVar(&s.every, "every", 2*time.Second, "shortest time from one card to the next")
	f.BoolVar(&s.repeat, "repeat", false, "begin again after the last card")
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
		return mock.Options{}, errors.New("want one of --pty, --tcp ADDR and --vpcd ADDR")
	}
	if !slices.Contains(sam.Rates, s.baud) {
		return mock.Options{}, fmt.Errorf("--baud %d: want one of %v", s.baud, sam.Rates)
	}
	if s.every < 0 {
		return mock.Options{}, fmt.Errorf("--every %v: want a duration of 0 or more", s.every)
	}
	faults, err := mock.ParseFaults(s.fault)
	if err != nil {
		return mock.Options{}, fmt.Errorf("--%w", err)
	}
	if s.tcp == "" && faults.Has("unplug") {
		return mock.Options{}, errors.New("--fault unplug: only a TCP address comes back under its name; use --tcp")
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
