package container

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"tfpilot/internal/exitcode"
)

// Place is where containers run.
type Place struct {
	// Dir is where paths of images begin that are not absolute: the folder of the payload's TOML file.
	Dir string
	// SiteOptions are the queue's, as the PanDA pilot takes them from container_options: those of Apptainer. Binds and GPUs among them
	// count for every runtime.
	SiteOptions string
	// Env is where the runtime is looked for (PATH), and what configures it; nil is the environment of this process.
	Env []string
	// MemoryBytes bounds what a daemon starts for us, which nothing else of ours can; 0 is no limit.
	MemoryBytes int64
}

// Container is an image with a runtime for it. It may be used from several goroutines.
type Container struct {
	spec    Spec
	image   image
	binds   []Bind
	options []string // the site's, for Apptainer and Singularity
	memory  int64
	self    string // this executable, which is the first program inside
	env     []string

	mu         sync.Mutex
	candidates []found  // the first is used
	why        []string // what was wrong with better ones
}

// found is a runtime that is there and takes the image.
type found struct {
	engine
	path string
	// better is what was wrong with those between this one and the one before.
	better []string
}

// New finds the image, and a runtime that takes it. An error is a failure of the site: nothing has been started yet.
func New(spec Spec, place Place) (*Container, error) {
	site, err := parseSite(place.SiteOptions)
	if err != nil {
		return nil, exitcode.New(exitcode.BadConfig, "container options of the site: %w", err)
	}
	if err := spec.Validate(); err != nil {
		return nil, exitcode.Wrap(exitcode.Usage, err)
	}
	c := &Container{spec: spec, options: site.options, memory: place.MemoryBytes, binds: site.binds, env: place.Env}
	if c.env == nil {
		c.env = os.Environ()
	}
	c.env = last(c.env)
	if c.spec.GPU == "" {
		c.spec.GPU = site.gpu
	}
	for _, text := range spec.Binds {
		b, err := ParseBind(text)
		if err != nil {
			return nil, exitcode.Wrap(exitcode.Usage, err)
		}
		c.binds = append(c.binds, b)
	}
	if c.self, err = os.Executable(); err == nil {
		c.self, err = filepath.EvalSymlinks(c.self)
	}
	if err != nil {
		return nil, exitcode.New(exitcode.SiteContainer, "finding this executable, which begins every container: %w", err)
	}
	if c.image, err = findImage(spec.Image, place.Dir); err != nil {
		return nil, err
	}
	return c, c.find()
}

// find looks for runtimes.
func (c *Container) find() error {
	var absent, why []string
	for _, e := range engines {
		if c.spec.Runtime != "" && c.spec.Runtime != Auto && c.spec.Runtime != e.runtime {
			continue
		}
		switch path, err := e.look(c.env); {
		case !slices.Contains(e.takes, c.image.kind):
			why = append(why, fmt.Sprintf("%s takes no %s", e.runtime, c.image.kind))
		case c.spec.GPU != "" && e.gpu == nil:
			why = append(why, fmt.Sprintf("%s gives no GPU", e.runtime))
		case err != nil:
			why = append(why, string(e.runtime)+" is not installed")
			absent = append(absent, e.title)
		default:
			c.candidates = append(c.candidates, found{e, path, why})
			why = nil
		}
	}
	if len(c.candidates) > 0 {
		c.why = c.candidates[0].better
		return nil
	}
	what := fmt.Sprintf("nothing on this node can run the container's image %s, an %s: %s", c.image.ref, c.image.kind, strings.Join(why, ", "))
	if len(absent) > 0 {
		what = absent[0] + " is not installed: " + what // the words that the PanDA pilot looks for
	}
	return failure(nil, "install one that takes it, or name an image of another kind in the payload's TOML", "%s", what)
}

// String is the runtime in use with its image.
func (c *Container) String() string { return string(c.Runtime()) + " " + c.image.ref }

// Runtime is the one in use.
func (c *Container) Runtime() Runtime { return c.current().runtime }

// Why says what was wrong with the runtimes that would have been better; empty when nothing was.
func (c *Container) Why() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.why, "; ")
}

func (c *Container) current() found {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.candidates[0]
}

// next gives up a runtime that does not work. It says false when there is no other.
func (c *Container) next(why error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.candidates) == 1 {
		return false
	}
	c.why = append(c.why, fmt.Sprintf("%s does not work: %v", c.candidates[0].runtime, why))
	c.candidates = c.candidates[1:]
	c.why = append(c.why, c.candidates[0].better...)
	return true
}

// engine is what is to be known of a runtime.
type engine struct {
	runtime Runtime
	// title is its name as people and the PanDA pilot write it.
	title string
	// program is looked up in PATH, then under also.
	program string
	also    []string
	takes   []imageKind
	// line makes its command line.
	line func(*launch) error
	// gpu are the options that give one; nil when it cannot.
	gpu map[string][]string
	// keeps says that a container can outlive who started it, under its name.
	keeps bool
}

// engines in the order in which Auto takes them.
var engines = []engine{
	{
		runtime: Apptainer, title: "Apptainer", program: "apptainer", also: []string{"/cvmfs/oasis.opensciencegrid.org/mis/apptainer/current/bin/apptainer"},
		takes: []imageKind{imageFile, imageFolder, imageName}, line: apptainerLine, gpu: apptainerGPU,
	},
	{
		runtime: Singularity, title: "Singularity", program: "singularity",
		takes: []imageKind{imageFile, imageFolder, imageName}, line: apptainerLine, gpu: apptainerGPU,
	},
	{runtime: Bubblewrap, title: "Bubblewrap", program: "bwrap", takes: []imageKind{imageFolder}, line: bubblewrapLine},
	{
		runtime: Podman, title: "Podman", program: "podman", takes: []imageKind{imageName, imageFolder}, line: podmanLine, keeps: true,
		gpu: map[string][]string{gpuNvidia: {"--device", "nvidia.com/gpu=all"}, gpuAMD: {"--device", "/dev/kfd", "--device", "/dev/dri"}},
	},
	{
		runtime: Docker, title: "Docker", program: "docker", takes: []imageKind{imageName}, line: dockerLine, keeps: true,
		gpu: map[string][]string{gpuNvidia: {"--gpus", "all"}, gpuAMD: {"--device", "/dev/kfd", "--device", "/dev/dri"}},
	},
}

// look finds the runtime's program.
func (e engine) look(env []string) (string, error) {
	var candidates []string
	for _, v := range env {
		if path, ok := strings.CutPrefix(v, "PATH="); ok {
			for _, dir := range filepath.SplitList(path) {
				candidates = append(candidates, filepath.Join(dir, e.program))
			}
		}
	}
	for _, program := range append(candidates, e.also...) {
		if path, err := exec.LookPath(program); err == nil && filepath.IsAbs(path) {
			return path, nil
		}
	}
	return "", errors.New("not found")
}
