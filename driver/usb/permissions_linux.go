package usb

import (
	"fmt"
	"os/user"
	"strconv"

	"golang.org/x/sys/unix"
)

// permissions says who may use a node, as it is now: a rule of a higher number wins.
func permissions(node string) string {
	var st unix.Stat_t
	if unix.Stat(node, &st) != nil {
		return node
	}
	group := strconv.Itoa(int(st.Gid))
	if g, err := user.LookupGroupId(group); err == nil {
		group = g.Name
	}
	return fmt.Sprintf("%s has mode %04o, group %s", node, st.Mode&0o7777, group)
}
