package wrapper

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"sync"
	"time"

	"tfpilot/internal/container"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/keeper"
	"tfpilot/internal/payloadfile"
	"tfpilot/internal/proc"
	"tfpilot/internal/scratch"
)

const (
	// trialTime bounds the start of a container with nothing in it; its image may have to be fetched first.
	trialTime = 10 * time.Minute
	// removalTime bounds the removal of one that was killed.
	removalTime = 30 * time.Second
)

// programs starts the payload's programs: on the node as it is, or in a container.
type programs struct {
	keepers   *keeper.Keepers
	enter     Enter                // nil where programs are started as they should
	container *container.Container // nil without one
	// always is seen inside, whatever the slice; data is the folder of inputs among it.
	always []container.Bind
	data   string
	// ours says that the program is of this toolkit, and not in any image.
	ours     bool
	removals sync.WaitGroup

	// spec and place are of containers with images that slices name.
	spec  container.Spec
	place container.Place
	mu    sync.Mutex
	named map[string]*container.Container
}

// newPrograms finds what the payload asks for. That something of it is missing is known here, before a slice is taken. showData says
// that the data directory is seen in a container.
func newPrograms(spec payloadfile.Spec, cfg Config, showData bool) (*programs, error) {
	keepers, err := keeper.New(cfg.Containment, int64(spec.MemoryMB)<<20)
	if err != nil {
		return nil, err
	}
	p := &programs{
		keepers: keepers, enter: cfg.Enter, ours: spec.Kind == payloadfile.KindTFReco || spec.Kind == payloadfile.KindSynthetic, named: map[string]*container.Container{},
		place: container.Place{Dir: spec.Dir, SiteOptions: cfg.ContainerOptions, MemoryBytes: int64(spec.MemoryMB) << 20},
	}
	if spec.Dir != "" {
		p.always = append(p.always, container.ReadOnly(spec.Dir))
	}
	if showData {
		p.data = cfg.DataDir
		p.always = append(p.always, container.ReadOnly(cfg.DataDir))
	}
	if spec.Container == nil {
		return p, nil
	}
	p.spec = *spec.Container
	if !spec.ImagesAreNamed() {
		p.container, err = container.New(p.spec, p.place)
	}
	return p, err
}

// sees says what is wrong when a program that stays in a slot does not see a file, which nothing can be done about any more.
func (p *programs) sees(file string) error {
	if p.container == nil || p.container.Sees(file, p.always...) {
		return nil
	}
	err := exitcode.New(exitcode.BadConfig, "the payload's container was started without the folder of %s", file)
	return exitcode.WithNext(err, "name a folder that it lies in by --data-dir, or in container.binds of the payload's TOML")
}

// start starts a program that sees binds, should it run in a container.
func (p *programs) start(ctx context.Context, c proc.Command, l keeper.Limits, binds ...container.Bind) (*keeper.Program, error) {
	if p.ours {
		binds = append(binds, container.ReadOnly(c.Path))
	}
	if p.enter != nil {
		_, err := p.visit(ctx, p.container, c, binds)
		return nil, cmp.Or(err, ErrEntered)
	}
	if p.container == nil {
		return p.keepers.Start(ctx, c, l)
	}
	return p.inside(ctx, p.container, c, l, binds...)
}

// startIn starts a program in a container of an image, which sees binds.
func (p *programs) startIn(ctx context.Context, image string, c proc.Command, l keeper.Limits, binds ...container.Bind) (*keeper.Program, error) {
	p.mu.Lock()
	box, known := p.named[image]
	p.mu.Unlock()
	if !known {
		spec := p.spec
		spec.Image = image
		var err error
		if box, err = container.New(spec, p.place); err != nil {
			return nil, err // it may be there the next time
		}
		p.mu.Lock()
		p.named[image] = box
		p.mu.Unlock()
	}
	return p.inside(ctx, box, c, l, binds...)
}

// inside starts a program in a container.
func (p *programs) inside(ctx context.Context, box *container.Container, c proc.Command, l keeper.Limits, binds ...container.Bind) (*keeper.Program, error) {
	if p.enter != nil {
		_, err := p.visit(ctx, box, c, binds)
		return nil, cmp.Or(err, ErrEntered)
	}
	s, err := box.Start(c, append(binds, p.always...)...)
	if err != nil {
		return nil, err
	}
	program, err := p.keepers.Start(ctx, s.Command, l)
	if err == nil && s.After() != nil {
		p.removals.Go(func() { p.remove(ctx, program, *s.After()) })
	}
	return program, err
}

// remove takes away the container of a program that had to be killed.
func (p *programs) remove(ctx context.Context, program *keeper.Program, rm proc.Command) {
	if r, _ := program.Wait(); r.Stopped == nil && r.Signal == "" {
		return // the runtime has done it
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removalTime) // the program's own has ended, probably
	defer cancel()
	_, _ = p.keepers.Run(ctx, rm, keeper.Limits{}) // what cannot be removed shows in the runtime's own list
}

// run runs a program until nothing of it is left.
func (p *programs) run(ctx context.Context, c proc.Command, l keeper.Limits, binds ...container.Bind) (keeper.Result, error) {
	if p.enter != nil {
		r, err := p.visit(ctx, p.container, c, binds)
		return keeper.Result{Result: r}, err
	}
	program, err := p.start(ctx, c, l, binds...)
	if err != nil {
		return keeper.Result{}, err
	}
	return program.Wait()
}

// close ends what kept the programs.
func (p *programs) close() {
	p.removals.Wait()
	p.keepers.Close()
}

// Container is what the payload's programs run in, and why it is none that would have been taken first; both are empty when they
// run on the node as it is. It starts one to know.
func (w *Wrapper) Container(ctx context.Context) (used, why string, err error) {
	p := w.programs
	if p.container == nil {
		return "", "", nil
	}
	if err := os.MkdirAll(w.cfg.WorkDir, 0o755); err != nil {
		return "", "", exitcode.New(exitcode.SiteNoSpace, "making the work directory: %w", err)
	}
	f, err := scratch.New(w.cfg.WorkDir, folderPrefix)
	if err != nil {
		return "", "", exitcode.New(exitcode.SiteNoSpace, "making a folder to try the container in: %w", err)
	}
	defer f.Release() // not before it is removed: an image may take long to come
	defer removeAll(f.Path)
	err = p.container.Try(ctx, filepath.Clean(f.Path), func(ctx context.Context, c proc.Command) (proc.Result, error) {
		r, err := p.keepers.Run(ctx, c, keeper.Limits{Time: trialTime})
		return r.Result, err
	}, p.always...)
	if err != nil {
		return "", "", err
	}
	return p.container.String(), p.container.Why(), nil
}
