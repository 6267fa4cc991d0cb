package diagnosis

import "slices"

// fold leaves each cause once: findings told twice are told where they came
// first, and a finding that another one explains moves into that one's Also. It
// then sets the levels of the results.
func fold(results []Result) {
	type place struct{ result, finding int }
	var all []place
	at := func(p place) *Finding { return &results[p.result].Findings[p.finding] }
	gone := map[place]bool{}
	for i := range results {
		for j := range results[i].Findings {
			p := place{i, j}
			twice := slices.ContainsFunc(all, func(q place) bool {
				return at(q).Code == at(p).Code && at(q).Subject == at(p).Subject && at(q).What == at(p).What
			})
			gone[p] = twice
			if !twice {
				all = append(all, p)
			}
		}
	}
	// A cause may itself be explained; what it explains goes all the way up.
	cause := map[place]place{}
	for _, p := range all {
		f := at(p)
		for _, code := range f.Because {
			i := slices.IndexFunc(all, func(q place) bool { return q != p && at(q).Code == code && related(*f, *at(q)) })
			if i >= 0 {
				cause[p] = all[i]
				break
			}
		}
	}
	for _, p := range all {
		root, steps := p, 0
		for {
			up, explained := cause[root]
			if !explained || steps == len(all) { // a circle explains nothing
				break
			}
			root, steps = up, steps+1
		}
		if root == p || steps == len(all) {
			continue
		}
		follows := *at(p)
		at(root).Also = append(at(root).Also, follows)
		at(root).Level = at(root).Level.worse(follows.Level) // a cause is as bad as what it does
		gone[p] = true
		if results[p.result].Reason == nil {
			why := texts.Say("follows_from", at(root).Code)
			results[p.result].Reason = &why
		}
	}
	for i := range results {
		r := &results[i]
		var kept []Finding
		had := len(r.Findings) > 0
		for j, f := range r.Findings {
			if !gone[place{i, j}] {
				kept = append(kept, f)
			}
		}
		r.Findings = kept
		r.level(had)
	}
}

// related reports whether a cause can be that of a finding: both are about the
// same subject, or one of them about none in particular.
func related(f, cause Finding) bool {
	return f.Subject == cause.Subject || f.Subject == "" || cause.Subject == ""
}

func (r *Result) level(had bool) {
	switch {
	case len(r.Findings) > 0:
		r.Reason = nil
		r.Level = OK
		for _, f := range r.Findings {
			r.Level = r.Level.worse(f.Level)
		}
	case r.Level == Unknown:
	case r.Reason != nil || had:
		r.Level = NotChecked
	default:
		r.Level = OK
	}
}
