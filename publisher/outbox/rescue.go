package outbox

import (
	"context"
	"errors"

	"idtap/internal/securefile"
	"idtap/publisher/outbox/journal"
)

// checkFiles makes sure, before a change, that what it writes will be found
// again: the lock, the keys, the database and its log are where their names lead.
// It takes up a lock and writes a key file that are gone; for the database the
// error is journal.ErrMoved or ErrDamaged.
func (q *Queue) checkFiles(ctx context.Context) error {
	if !q.lock.Held() {
		if err := q.lockAgain(); err != nil {
			return err
		}
	}
	restored, err := q.keys.Keep(q.o.KeyFile)
	if err != nil {
		return err
	}
	if restored {
		q.o.Log.Error().Str("file", q.o.KeyFile).Msg("the key file was deleted or replaced while idtap ran: it is written again")
	}
	return q.file.CheckNames(ctx)
}

// lockAgain takes the lock under its name; another daemon may have been quicker.
func (q *Queue) lockAgain() error {
	if err := securefile.OwnDir(q.dir); err != nil {
		return err
	}
	lock, err := journal.LockDir(q.dir)
	if err != nil {
		return err
	}
	q.lock.Release()
	q.lock = lock
	return nil
}

// rescue writes a new queue from what is still open after its files were
// deleted, renamed or replaced. Nothing is lost but the place they were moved to.
func (q *Queue) rescue(cause error) error {
	q.o.Log.Error().Err(cause).Msg("the queue's files were removed while idtap ran: a new queue is written from what is still open")
	q.mu.Lock() // readers wait until the new file is in its place
	defer q.mu.Unlock()
	ctx := context.Background()
	aside, err := q.file.Rescue(ctx, q.o.Clock.Now(), q.fail)
	if err != nil {
		return errors.Join(cause, err)
	}
	q.View.db.Close()
	q.file, q.delivered = nil, nil
	if aside != "" {
		q.o.Log.Warn().Str("file", aside).Msg("somebody else's queue was in its place: it is set aside")
	}
	return q.start(ctx)
}

// rescueIf rescues the queue if err says that its files are gone.
func (q *Queue) rescueIf(err error) error {
	if errors.Is(err, journal.ErrMoved) {
		return q.rescue(err)
	}
	return err
}

// rescueIdle looks at the files while nothing is written.
func (q *Queue) rescueIdle() {
	if q.file == nil {
		return
	}
	err := q.checkFiles(context.Background())
	if err == nil {
		err = q.file.CheckRest()
	}
	switch {
	case errors.Is(err, journal.ErrMoved):
		err = q.rescue(err)
	case journal.IsDamaged(err):
		err = q.replace(context.Background(), err)
	}
	if err != nil {
		q.o.Log.Error().Err(err).Msg("the queue's files are not as they were left")
	}
}
