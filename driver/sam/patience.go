package sam

import (
	"context"
	"errors"
	"time"
)

// A module that is silent for much longer than it lately was is sent a self-test.
// Modules answer in order: if that alone is answered, the command was lost and
// can be repeated, with no other answer under way; if the command's answer comes
// first, the module was slow. docs/decisions/patience.md says why.
const (
	// patienceSlack is what a module may take beyond half as much again as its
	// slowest answer lately.
	patienceSlack = 200 * time.Millisecond
	// patienceMemory is how quickly a slow answer is forgotten: by this part
	// with each answer that is quicker.
	patienceMemory = 32
)

// errLost is the cause for a command that the module never took up.
var errLost = errors.New("the module answers, but not to this command")

// patience holds how long after a command the module's answer began, by
// command: the slowest lately, wire time taken off.
type patience map[Code]time.Duration

// heard notes how long an answer took to begin.
func (p patience) heard(code Code, took time.Duration) {
	p[code] = max(took, p[code]-p[code]/patienceMemory, 0)
}

// forget is for a command without an answer: nothing is known of it any more.
func (p patience) forget(code Code) { delete(p, code) }

// with is how long silence after a command is nothing unusual: its whole bound
// where nothing is known.
func (p patience) with(cmd command) time.Duration {
	slowest, known := p[cmd.code]
	if !known {
		return cmd.wait
	}
	return min(cmd.wait, patienceSlack+slowest+slowest/2)
}

// exchange sends a command and takes its answer; see attempt. One that was lost
// is sent once more and then has its whole bound in silence, so that a module
// which drops what it is doing when it is asked gets to the end of it. One whose
// answer or request the line damaged is sent once more, too.
func (c *Client) exchange(ctx context.Context, cmd command, data ...byte) (Body, error) {
	patience := cmd.wait
	if (cmd.card || cmd.code == CmdSelfTest) && !c.o.OneAtATime {
		patience = c.patience.with(cmd)
	}
	b, err := c.attempt(ctx, cmd, patience, data...)
	switch {
	case errors.Is(err, errLost):
		return c.attempt(ctx, cmd, cmd.wait, data...)
	case errors.Is(err, errDamaged), err == nil && misheard(b.Status()):
		return c.attempt(ctx, cmd, patience, data...)
	}
	return b, err
}

// stray takes note of a frame that does not answer the command under way. The
// module's word that it is there was asked for; anything else speaks against
// the line.
func (c *Client) stray(b Body) (wanted bool) {
	if c.asked && cmdSelfTest.shape(b.Status(), len(b.Data())) {
		c.asked = false
		return true
	}
	c.misfits++
	return false
}
