package outbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"idtap/driver/diagnosis"
	"idtap/publisher/outbox/journal"
)

// undelivered are the codes of the bus that make a queue grow old.
var undelivered = []string{"bus_unreachable", "bus_auth", "bus_creds_unreadable", "bus_tls", "bus_embedded_failed", "bus_no_answer",
	"bus_publish_denied", "bus_no_stream", "bus_wrong_stream", "bus_stream_full", "bus_stream_down", "bus_stream_unfit", "bus_stream_refused",
	"desk_id_in_use", "bus_seal_failed", "bus_cert_expired", "bus_creds_expired", "bus_server_cert_expired", "bus_plaintext"}

// What can be wrong with the queue.
var (
	Damaged = diagnosis.Entry{Code: "queue_damaged", Level: diagnosis.Critical, Who: diagnosis.Technician,
		What: diagnosis.Say("登记队列损坏", "The queue is damaged"),
		Why: diagnosis.Say("磁盘或断电损坏了文件；守护进程启动时会另存旧文件，并把能读出的记录移入新队列",
			"The disk or a power cut hurt the file; at its start the daemon sets the old one aside and carries over what can be read"),
		Do: diagnosis.Say("备份所示文件并检查磁盘（smartctl）；重启 idtap，再运行 idtap outbox verify；处理完后移走旧文件",
			"Back up the file shown and check the disk (smartctl); restart idtap, then run idtap outbox verify; move the old file away when done")}
	Old = diagnosis.Entry{Code: "queue_old", Level: diagnosis.Warning, Who: diagnosis.Technician, Because: undelivered,
		What: diagnosis.Say("有登记长时间未送出", "Events have waited for long"),
		Why: diagnosis.Say("已保存在本机，但一直没有送达：守护进程没有运行，或上级不收",
			"They are safe on this desk but not delivered: the daemon does not run, or nothing takes them"),
		Do: diagnosis.Say("确认 idtap run 在运行；随后自动补发，无需重刷", "See that idtap run is running; they are sent by themselves then, nobody taps again")}
	Full = diagnosis.Entry{Code: "queue_full", Level: diagnosis.Critical, Who: diagnosis.Technician, Because: append([]string{"disk_full"}, undelivered...),
		What: diagnosis.Say("登记队列已满，刷卡不计入", "The queue is full: taps are refused"),
		Why:  diagnosis.Say("未送出的登记达到 outbox.max_bytes", "Undelivered events have reached outbox.max_bytes"),
		Do:   diagnosis.Say("恢复与上级的连接，或提高 outbox.max_bytes 后重启", "Mend the connection, or raise outbox.max_bytes and restart")}
	DiskFull = diagnosis.Entry{Code: "disk_full", Level: diagnosis.Critical, Who: diagnosis.Technician,
		What: diagnosis.Say("磁盘已满，刷卡不计入", "The disk is full: taps are refused"),
		Why:  diagnosis.Say("队列所在磁盘的剩余空间低于下限", "The queue's disk has less free space than a tap needs"),
		Do:   diagnosis.Say("清理磁盘；有空间后立即恢复", "Free some space; taps count again at once")}
	DiskLow = diagnosis.Entry{Code: "disk_low", Level: diagnosis.Warning, Who: diagnosis.Technician,
		What: diagnosis.Say("磁盘快满了", "The disk is nearly full"),
		Why:  diagnosis.Say("剩余空间已不够队列长到 outbox.max_bytes", "There is less free space than the queue may grow (outbox.max_bytes)"),
		Do:   diagnosis.Say("清理磁盘，或把 outbox.dir 移到别的磁盘", "Free some space, or move outbox.dir to another disk")}
	KeyWrong = diagnosis.Entry{Code: "queue_key", Level: diagnosis.Critical, Who: diagnosis.Technician,
		What: diagnosis.Say("队列的密钥文件打不开队列", "The queue's key file does not open it"),
		Why:  diagnosis.Say("密钥文件丢失、损坏、无权读取，或属于另一台设备", "The key file is lost, damaged, not readable, or another desk's"),
		Do:   diagnosis.Say("把备份的 outbox.key 放回原处（权限 0600）", "Put the copy of outbox.key back (mode 0600)")}
	Newer = diagnosis.Entry{Code: "queue_newer", Level: diagnosis.Critical, Who: diagnosis.Technician,
		What: diagnosis.Say("队列由更新版本的 idtap 写成", "The queue was written by a newer idtap"),
		Why:  diagnosis.Say("程序被降级", "The program was downgraded"),
		Do:   diagnosis.Say("装回较新的版本", "Install the newer version again")}
	Unreadable = diagnosis.Entry{Code: "queue_denied", Level: diagnosis.Critical, Who: diagnosis.Technician,
		What: diagnosis.Say("无法读取登记队列", "The queue cannot be read"),
		Why:  diagnosis.Say("目录属于另一个用户（多半是服务的用户），或磁盘出错", "The directory is another user's (mostly the service's), or the disk fails"),
		Do:   diagnosis.Say("用运行守护进程的用户或 root 执行", "Run this as the daemon's user or as root")}
	DeadLetters = diagnosis.Entry{Code: "queue_dead", Level: diagnosis.Warning, Who: diagnosis.Technician,
		What: diagnosis.Say("有登记无法发布", "Some events cannot be published"),
		Why:  diagnosis.Say("服务器永远不会接受它们（例如超过流的大小上限）", "The server will never take them (too large for the stream, say)"),
		Do:   diagnosis.Say("idtap outbox list --state dead 查看；排除原因后 requeue，或 discard", "Look with idtap outbox list --state dead; then requeue or discard them")}
)

// Entries lists what the check of this package finds.
func Entries() []diagnosis.Entry {
	return []diagnosis.Entry{Damaged, Old, Full, DiskFull, DiskLow, KeyWrong, Newer, Unreadable, DeadLetters}
}

// oldAfter is how long an event may wait before it is worth telling.
const oldAfter = 15 * time.Minute

// wholeCheck is the size up to which the whole chain is verified; the structure
// of a larger file is checked, and the daemon verified the chain at its start.
const wholeCheck = 64 << 20

// Check looks at the queue in o.Dir beside a running daemon or without one.
func Check(o Options) diagnosis.Check {
	o = o.withDefaults()
	return diagnosis.Check{Name: "queue", Group: diagnosis.Queue, Run: func(ctx context.Context, s *diagnosis.Sheet) {
		if _, err := os.ReadDir(o.Dir); errors.Is(err, fs.ErrPermission) {
			s.Find(Unreadable, "", o.Dir)
			return
		}
		free, err := journal.FreeBytes(o.Dir)
		if err == nil {
			s.Fact(diagnosis.Say("磁盘剩余", "free on disk"), "%d MiB", free>>20)
			if left := o.MaxBytes - journal.DiskBytes(o.Dir); free < o.MinFree {
				s.Find(DiskFull, "", fmt.Sprintf("%d MiB free, %d needed", free>>20, o.MinFree>>20))
			} else if free < left {
				s.Find(DiskLow, "", fmt.Sprintf("%d MiB free, the queue may grow by %d", free>>20, left>>20))
			}
		}
		v, err := OpenView(ctx, o)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			s.NotChecked(diagnosis.Say("还没有队列，首次运行时建立", "there is no queue yet; the first run makes it"))
			return
		case err != nil:
			s.Add(explain(o.Dir, err))
			return
		}
		defer v.Close()
		if v.keys == nil {
			s.Find(KeyWrong, "", o.KeyFile)
		}
		stats, err := v.Stats(ctx)
		if err != nil {
			s.Add(explain(o.Dir, err))
			return
		}
		stats.MaxBytes = o.MaxBytes
		told(s, stats, o.Clock.Now())
		whole(ctx, s, v, stats)
	}}
}

// explain is the finding behind an error of the queue.
func explain(dir string, err error) diagnosis.Finding {
	switch {
	case errors.Is(err, ErrKey):
		return diagnosis.NewFinding(KeyWrong, "")
	case errors.Is(err, ErrNewer):
		return diagnosis.NewFinding(Newer, "")
	case journal.IsDamaged(err):
		return diagnosis.NewFinding(Damaged, "", journal.Path(dir))
	}
	return diagnosis.NewFinding(Unreadable, "", dir)
}

func told(s *diagnosis.Sheet, stats Stats, now time.Time) {
	s.Fact(diagnosis.Say("待送出", "waiting"), "%d", stats.Waiting)
	if stats.Waiting > 0 {
		wait := now.Sub(stats.Oldest)
		s.Fact(diagnosis.Say("最早一条等待", "oldest waits"), "%s", wait.Round(time.Second))
		if wait > oldAfter {
			s.Find(Old, "", fmt.Sprintf("%d events, the oldest for %s", stats.Waiting, wait.Round(time.Minute)))
		}
	}
	s.Fact(diagnosis.Say("已送达", "delivered"), "%d", stats.Delivered+stats.Erased-stats.Local)
	if stats.Local > 0 {
		s.Fact(diagnosis.Say("仅存本机", "kept on this desk, not sent"), "%d", stats.Local)
	}
	s.Fact(diagnosis.Say("占用", "size"), "%d KiB", stats.Bytes>>10)
	if stats.Dead > 0 {
		s.Find(DeadLetters, "", fmt.Sprintf("%d events", stats.Dead))
	}
	if stats.Full || stats.MaxBytes > 0 && stats.Waiting > 0 && stats.Bytes >= stats.MaxBytes {
		s.Find(Full, "", fmt.Sprintf("%d of %d MiB", stats.Bytes>>20, stats.MaxBytes>>20))
	}
	if stats.Fault != "" {
		s.Find(Damaged, "", "set aside as "+stats.Fault, gapsText(stats.Gaps))
	}
}

func gapsText(n int) string {
	if n == 0 {
		return "nothing is missing"
	}
	return fmt.Sprintf("%d ranges of numbers are missing: idtap outbox verify lists them", n)
}

// whole verifies the file. A queue that was set aside is told already.
func whole(ctx context.Context, s *diagnosis.Sheet, v *View, stats Stats) {
	var r VerifyReport
	var err error
	if stats.Bytes <= wholeCheck {
		r, err = v.Verify(ctx)
	} else {
		r, err = v.quickCheck(ctx)
	}
	switch {
	case ctx.Err() != nil:
		return
	case err != nil && !errors.Is(err, ErrKey):
		s.Add(explain(v.dir, err))
	case err != nil:
		s.Find(KeyWrong, "")
	case !r.OK:
		s.Find(Damaged, "", journal.Path(v.dir), fmt.Sprintf("row %d: %s", r.Problems[0].Row, r.Problems[0].What))
	case r.Records > 0:
		s.Fact(diagnosis.Say("已校验的记录", "records verified"), "%d", r.Records)
	}
}

// quickCheck runs the quick one of SQLite's own checks.
func (v *View) quickCheck(ctx context.Context) (VerifyReport, error) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return journal.QuickCheck(ctx, v.db)
}

// Owner returns the process that has the queue's lock as its file says, 0 if none.
func Owner(dir string) int { return journal.Owner(dir) }
