package daemon

import (
	"context"

	"github.com/jonboulle/clockwork"

	"idtap/publisher"
	"idtap/publisher/vendorports"
)

// slots are the observers that the vendors' ports need: one, where any is on.
func (d *daemon) slots(clock clockwork.Clock) []publisher.Observer {
	v := d.cfg.VendorPorts
	if !v.On() {
		return nil
	}
	d.slot = vendorports.NewSlot(clock, v.AnswerTests)
	return []publisher.Observer{d.slot}
}

// startVendorPorts answers the pages that call a vendor's local service.
func (d *daemon) startVendorPorts(ctx context.Context, clock clockwork.Clock, m *monitor) error {
	if d.slot == nil {
		return nil
	}
	v := d.cfg.VendorPorts
	o := vendorports.Options{CVR: v.CVR, XZX: v.XZX, Routon: v.Routon, Origins: v.Origins, Slot: d.slot, Audit: d.intake.Audit, Given: d.board.Given,
		Clock: clock, Log: d.o.Log.With().Str("part", "vendor ports").Logger()}
	if d.page != nil {
		o.Photo = d.page.Portrait()
	}
	ports, err := vendorports.Listen(ctx, o)
	if err != nil {
		return texts.Errorf("vendor_port_taken", err)
	}
	m.vendor.Store(ports)
	d.o.Log.Info().Strs("ports", ports.Addresses()).Strs("origins", v.Origins).Msg("vendor ports")
	d.running.Go(func() {
		if err := ports.Serve(ctx); err != nil && ctx.Err() == nil {
			d.failed <- err
		}
	})
	return nil
}
