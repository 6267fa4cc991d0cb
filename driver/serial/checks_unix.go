//go:build unix

package serial

import (
	"fmt"
	"os/user"
	"strconv"

	"golang.org/x/sys/unix"
)

// permissions says which group may use a port and who asked.
func permissions(path string) string {
	var st unix.Stat_t
	if unix.Stat(path, &st) != nil {
		return ""
	}
	group, own := strconv.Itoa(int(st.Gid)), "?"
	if g, err := user.LookupGroupId(group); err == nil {
		group = g.Name
	}
	if u, err := user.Current(); err == nil {
		own = u.Username
	}
	return fmt.Sprintf("mode %04o, group %s, user %s", st.Mode&0o7777, group, own)
}
