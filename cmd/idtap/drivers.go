package main

import "idtap/driver"

// drivers are the kinds of reader this build can open.
func (a *app) drivers() driver.Registry {
	return driver.Registry{}
}
