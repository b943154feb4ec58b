package wrapper

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"tfpilot/internal/container"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
	"tfpilot/internal/payloadfile"
	"tfpilot/internal/rangefile"
	"tfpilot/internal/stagein"
)

// InputConfig is how files on remote storage are reached.
type InputConfig struct {
	// Cache holds files that were fetched whole. All pilots of a node and a user may share it.
	Cache   string `toml:"input_cache" help:"folder for files fetched from remote storage, which the pilots of a node may share (default: tfpilot-input-UID in the work directory)"`
	CacheGB int    `toml:"input_cache_gb" default:"20" help:"most that the folder of fetched files may hold, in GB; the least recently used go"`
	// TokenFile is read when it is needed. It is another token than that for idds.
	TokenFile string `toml:"input_token_file" help:"file with the bearer token for https:// and roots:// input (default: BEARER_TOKEN_FILE)"`
	CADir     string `toml:"input_ca_dir" help:"folder of authorities of storage, beside the system's (default: X509_CERT_DIR)"`
	// Doors are https addresses of storage that slices name by root://.
	Doors []string `toml:"input_doors" help:"https doors of storage, as root://HOST:PORT=https://HOST:PORT"`
	// Hosts are a fence: without one a message can have a token sent to any server.
	Hosts []string `toml:"input_hosts" help:"hosts that slices may name, beside that of --data-dir and those of --input-doors; no other is asked, or sent the token (default: any)"`
	// HTTPHosts may be asked over plain http, without a token.
	HTTPHosts []string `toml:"input_http_hosts" help:"hosts that may be read over plain http, without a token (default: none)"`
	// StageAfter is for payloads that can read a part of an https file.
	StageAfter int           `toml:"input_stage_after" default:"2" help:"fetch a file whole when so many slices of it came to the node; 1 for at once"`
	Timeout    time.Duration `toml:"input_timeout" default:"10m" help:"time for fetching one file, with all tries"`
	Patience   time.Duration `toml:"input_patience" default:"1m" help:"how long storage may give nothing before it is given up"`
	Xrdcp      string        `toml:"input_xrdcp" default:"xrdcp" help:"program that fetches root:// files"`
	// Logger hears what was decided about remote files, and why; nil for nobody.
	Logger *slog.Logger `toml:"-"`
}

// How a slice's file was made ready.
const (
	InputLocal   = "local"   // a path on this node
	InputFetched = "fetched" // from remote storage, for this slice
	InputCached  = "cached"  // as another slice of this node had it fetched
	InputRemote  = "remote"  // the program reads it over the network
)

// Input is how a slice's file was made ready.
type Input struct {
	How string
	// Reason is why a remote file is fetched or not; empty where there was no choice.
	Reason string
	// MovedBytes came over the network for this slice before its program began; what the program reads is not known here.
	MovedBytes int64
	// Took is part of the slice's time, and not of its payload's.
	Took time.Duration
}

// Message is how the file was made ready as it stands in a result; nil for one that was on this node.
func (i Input) Message() *message.ResultInput {
	if i.How == "" || i.How == InputLocal {
		return nil
	}
	return &message.ResultInput{How: i.How, Reason: i.Reason, MovedBytes: i.MovedBytes, Seconds: i.Took.Seconds()}
}

// inputs makes the files of slices ready.
type inputs struct {
	dataDir string
	as      payloadfile.InputAs
	after   int
	limit   int64
	remote  *rangefile.Client
	cache   *stagein.Cache
	doors   []door
	hosts   []string // empty for any
	log     *slog.Logger
	// env is what programs that may read remote files by themselves are told.
	env []string
	// binds are what these see in a container.
	binds []container.Bind
}

// door is another way to the same storage.
type door struct{ from, to *url.URL }

// DefaultInputCache is where fetched files lie when nothing is said: beside the slices' folders, one for each user.
func DefaultInputCache(workDir string) string {
	if workDir == "" {
		workDir = os.TempDir()
	}
	return filepath.Join(workDir, fmt.Sprintf("tfpilot-input-%d", os.Getuid()))
}

// gigabyte is that of --input-cache-gb, as disks are sold.
const gigabyte = 1_000_000_000

func newInputs(cfg Config, spec payloadfile.Spec) (in inputs, err error) {
	c := cfg.Input
	if c.CacheGB < 1 || c.StageAfter < 1 || c.Timeout < 0 || c.Patience < 0 {
		return in, exitcode.New(exitcode.Usage, "--input-cache-gb %d, --input-stage-after %d, --input-timeout %s, --input-patience %s: all are more than nothing",
			c.CacheGB, c.StageAfter, c.Timeout, c.Patience)
	}
	if c.Cache == "" {
		c.Cache = DefaultInputCache(cfg.WorkDir)
	}
	if c.TokenFile == "" {
		c.TokenFile = os.Getenv("BEARER_TOKEN_FILE")
	}
	if c.CADir == "" {
		c.CADir = os.Getenv("X509_CERT_DIR")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	for _, path := range []*string{&c.Cache, &c.TokenFile, &c.CADir} {
		if *path == "" {
			continue
		}
		if *path, err = filepath.Abs(*path); err != nil {
			return in, exitcode.Wrap(exitcode.BadConfig, err)
		}
	}
	in = inputs{dataDir: cfg.DataDir, as: spec.InputAs(), after: c.StageAfter, limit: int64(c.CacheGB) * gigabyte, log: c.Logger}
	if in.doors, err = parseDoors(c.Doors); err != nil {
		return in, err
	}
	if IsURL(cfg.DataDir) {
		if _, err := rangefile.Parse(join(cfg.DataDir, "file")); err != nil {
			return in, exitcode.New(exitcode.Usage, "--data-dir: %w", err)
		}
	}
	if len(c.Hosts) > 0 {
		in.hosts = in.fence(c.Hosts)
	}
	in.remote, err = rangefile.New(rangefile.Config{TokenFile: c.TokenFile, CADir: c.CADir, HTTPHosts: c.HTTPHosts, Patience: c.Patience, Logger: c.Logger})
	if err != nil {
		return in, fmt.Errorf("--input-ca-dir (X509_CERT_DIR): %w", err)
	}
	in.cache = stagein.New(stagein.Config{
		Dir: c.Cache, LimitBytes: in.limit, Remote: in.remote, Timeout: c.Timeout, Patience: c.Patience, Logger: c.Logger,
		XRootD: stagein.XRootD{Program: c.Xrdcp, TokenFile: c.TokenFile, CADir: c.CADir},
	})
	if spec.WantsToken() && c.TokenFile != "" {
		in.env, in.binds = append(in.env, "BEARER_TOKEN_FILE="+c.TokenFile), append(in.binds, container.ReadOnly(c.TokenFile))
	}
	if in.as != payloadfile.InputPath && c.CADir != "" {
		in.env, in.binds = append(in.env, "X509_CERT_DIR="+c.CADir), append(in.binds, container.ReadOnly(c.CADir))
	}
	if spec.Stays() && in.as != payloadfile.InputURL { // it sees what is fetched after its start
		in.binds = append(in.binds, container.ReadOnly(c.Cache))
	}
	return in, nil
}

// fence is what --input-hosts allows, in small letters, and what the site names elsewhere.
func (in inputs) fence(hosts []string) (fence []string) {
	for _, h := range hosts {
		fence = append(fence, strings.ToLower(strings.TrimSpace(h)))
	}
	for _, d := range in.doors {
		fence = append(fence, strings.ToLower(d.to.Host))
	}
	if u, err := url.Parse(in.dataDir); err == nil && u.Host != "" {
		fence = append(fence, strings.ToLower(in.through(u).Host))
	}
	return fence
}

// parseDoors reads --input-doors.
func parseDoors(texts []string) (doors []door, err error) {
	for _, text := range texts {
		from, to, ok := strings.Cut(text, "=")
		d := door{}
		if ok {
			var ferr, terr error
			d.from, ferr = url.Parse(strings.TrimSpace(from))
			d.to, terr = url.Parse(strings.TrimSpace(to))
			ok = ferr == nil && terr == nil && isXRootD(d.from) && (d.to.Scheme == "https" || d.to.Scheme == "http") &&
				d.from.Host != "" && d.to.Host != "" && d.from.User == nil && d.to.User == nil && d.from.RawQuery+d.to.RawQuery == ""
		}
		if !ok {
			return nil, exitcode.New(exitcode.Usage, "--input-doors: a door looks like root://storage.example.org:1094=https://storage.example.org:1094")
		}
		doors = append(doors, d)
	}
	return doors, nil
}

func isXRootD(u *url.URL) bool {
	return u.Scheme == "root" || u.Scheme == "roots" || u.Scheme == "xroot" || u.Scheme == "xroots"
}

// through is an address as the first door that leads there has it.
func (in inputs) through(u *url.URL) *url.URL {
	for _, d := range in.doors {
		if !isXRootD(u) || u.Hostname() != d.from.Hostname() || portOf(u) != portOf(d.from) {
			continue
		}
		folder := "/" + strings.Trim(d.from.Path, "/")
		below, inside := strings.CutPrefix("/"+strings.TrimLeft(u.Path, "/"), strings.TrimRight(folder, "/")+"/")
		if !inside {
			continue
		}
		return &url.URL{Scheme: d.to.Scheme, Host: d.to.Host, Path: strings.TrimRight(d.to.Path, "/") + "/" + strings.TrimLeft(below, "/")}
	}
	return u
}

// portOf is the port of an XRootD address, which has one also when it does not say.
func portOf(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	return "1094"
}

// scheme is how an address begins.
var scheme = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*://`)

// IsURL holds for what names a file elsewhere, or by file://.
func IsURL(name string) bool { return scheme.MatchString(name) }

// join puts a relative name below an address.
func join(base, name string) string {
	return strings.TrimRight(base, "/") + "/" + (&url.URL{Path: name}).EscapedPath()
}

// resolve is the path or address of a slice's file.
func (in inputs) resolve(name string) string {
	switch {
	case strings.HasPrefix(strings.ToLower(name), "file:///"):
		return name[len("file://"):]
	case IsURL(name), filepath.IsAbs(name):
		return name
	case IsURL(in.dataDir):
		return join(in.dataDir, name)
	default:
		return filepath.Join(in.dataDir, name)
	}
}

// readyInput is what a payload is given.
type readyInput struct {
	name  string
	lease *stagein.Lease
}

// binds are what the program has to see of it in a container.
func (r readyInput) binds() []container.Bind {
	if IsURL(r.name) {
		return nil
	}
	return []container.Bind{container.ReadOnly(r.name)}
}

// release gives the file back. One that the payload found damaged is fetched again for whoever wants it next.
func (r readyInput) release(err error) {
	switch {
	case r.lease == nil:
	case exitcode.From(err) == exitcode.DataCorrupt:
		r.lease.Discard()
	default:
		r.lease.Release()
	}
}

// ready makes the file of a slice ready and notes how. Whether a local file is there is for the payload to find out.
func (in inputs) ready(ctx context.Context, s message.Slice, how *Input) (r readyInput, err error) {
	started := time.Now()
	defer func() { how.Took = time.Since(started) }()
	name := in.resolve(s.Content.Filename)
	if !IsURL(name) {
		how.How = InputLocal
		return readyInput{name: name}, nil
	}
	want, err := in.want(name, s)
	if err != nil {
		return r, err
	}
	if in.as == payloadfile.InputURL {
		how.How = InputRemote
		return readyInput{name: name}, nil
	}
	if in.as == payloadfile.InputAuto && strings.HasPrefix(want.URL, "http") {
		var whole bool
		if whole, how.Reason, err = in.choose(ctx, want); err != nil {
			return r, err
		}
		if !whole {
			how.How = InputRemote
			in.say(ctx, want, how)
			return readyInput{name: want.URL}, nil
		}
	}
	lease, err := in.cache.Get(ctx, want)
	if err != nil {
		if ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) {
			err = exitcode.New(exitcode.Interrupted, "fetching the input was ended: %w", err)
		}
		return r, err
	}
	how.How, how.MovedBytes = InputCached, lease.MovedBytes
	if lease.MovedBytes > 0 {
		how.How = InputFetched
	}
	in.say(ctx, want, how)
	return readyInput{name: lease.Path, lease: lease}, nil
}

// say has the log tell what was decided.
func (in inputs) say(ctx context.Context, want stagein.File, how *Input) {
	in.log.InfoContext(ctx, "remote input", slog.String("file", want.URL), slog.String("how", how.How), slog.String("reason", how.Reason),
		slog.Int64("moved_bytes", how.MovedBytes))
}

// want is the remote file of a slice, by the door that leads to it.
func (in inputs) want(address string, s message.Slice) (stagein.File, error) {
	u, err := rangefile.Parse(address)
	if err != nil {
		return stagein.File{}, exitcode.New(exitcode.DataInvalid, "slice %s: %w", s.Content.Identity(), err)
	}
	u = in.through(u)
	if in.hosts != nil && !slices.Contains(in.hosts, strings.ToLower(u.Host)) && !slices.Contains(in.hosts, strings.ToLower(u.Hostname())) {
		return stagein.File{}, exitcode.WithNext(exitcode.New(exitcode.DataInvalid, "slice %s: %s is at none of the hosts of --input-hosts", s.Content.Identity(), rangefile.Name(u)),
			"have the producer name storage of this site, or add the host to --input-hosts")
	}
	switch {
	case isXRootD(u): // nothing is escaped in those
		return stagein.File{URL: address, SizeBytes: s.Content.Size.Int64(), Adler32: s.Content.Adler32}, nil
	case u.Scheme == "davs":
		u.Scheme = "https"
	case u.Scheme == "dav":
		u.Scheme = "http"
	}
	if u.Scheme != "https" && u.Scheme != "http" {
		return stagein.File{}, exitcode.New(exitcode.DataInvalid, "slice %s: %s: files are read by path, https, davs, root or roots", s.Content.Identity(), rangefile.Name(u))
	}
	return stagein.File{URL: u.String(), SizeBytes: s.Content.Size.Int64(), Adler32: s.Content.Adler32}, nil
}

// choose looks at a file on its server: what is missing or another is found before a program is started for it.
func (in inputs) choose(ctx context.Context, want stagein.File) (whole bool, reason string, err error) {
	f, err := in.remote.Open(ctx, want.URL)
	if err != nil {
		return false, "", err
	}
	if n := want.SizeBytes; n > 0 && n != f.Size() {
		return false, "", exitcode.New(exitcode.DataCorrupt, "%s has %d bytes, and should have %d", f.Name(), f.Size(), n)
	}
	whole, reason = stagein.Choose(stagein.Situation{
		SizeBytes: f.Size(), LimitBytes: in.limit, RTT: f.RTT(), Here: in.cache.Has(want), Slices: in.cache.Seen(want), After: in.after,
	})
	return whole, reason, nil
}

// Prefetch has the file of a slice fetched that will be worked on soon. What fails will be told by who works on it. Whether a payload
// that reads both gets the whole of an https file is decided when the slice has its turn.
func (w *Wrapper) Prefetch(ctx context.Context, s message.Slice) {
	name := w.inputs.resolve(s.Content.Filename)
	if !IsURL(name) || w.inputs.as == payloadfile.InputURL || s.Validate() != nil || s.Content.Simulated() {
		return
	}
	if want, err := w.inputs.want(name, s); err == nil && (w.inputs.as == payloadfile.InputPath || !strings.HasPrefix(want.URL, "http")) {
		_ = w.inputs.cache.Prefetch(ctx, want)
	}
}
