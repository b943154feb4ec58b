package container

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// imageKind is what a runtime must be able to take.
type imageKind string

const (
	imageFile   imageKind = "image file"
	imageFolder imageKind = "unpacked root"
	imageName   imageKind = "image by name" // of a registry, or known to the runtime
)

// image is what Spec.Image is on this node.
type image struct {
	kind imageKind
	// ref is the path, or the name with its scheme if it has one.
	ref string
}

// findImage looks at an image; dir is where paths from . begin.
func findImage(ref, dir string) (image, error) {
	if !isPath(ref) {
		return image{imageName, ref}, nil
	}
	if !filepath.IsAbs(ref) {
		ref = filepath.Join(dir, ref)
	}
	info, err := stat(ref)
	switch {
	case err != nil:
		return image{}, failure(err, "its path is container.image in the payload's TOML: mount what it lies on (CVMFS?), or put it there",
			"looking for the container's image: %w", err)
	case info.IsDir():
		if _, err := os.Stat(filepath.Join(ref, "usr")); err != nil {
			return image{}, failure(nil, "unpack an image there, or mend container.image in the payload's TOML", "the container's image %s is a folder, but no unpacked root: it has no usr", ref)
		}
		return image{imageFolder, ref}, nil
	case !info.Mode().IsRegular():
		return image{}, failure(nil, "mend container.image in the payload's TOML", "the container's image %s is neither a file nor a folder", ref)
	}
	return image{imageFile, ref}, nil
}

// isPath tells a path from a name: debian:12 is a name, ./debian and debian.sif are paths.
func isPath(ref string) bool {
	return strings.HasPrefix(ref, "/") || strings.HasPrefix(ref, "./") || strings.HasPrefix(ref, "../") ||
		strings.HasSuffix(ref, ".sif") && !strings.Contains(ref, "://")
}

// statPatience bounds how long a file system may take to answer; one that hangs would hold the whole pilot.
const statPatience = 20 * time.Second

// stat is os.Stat that comes back. What it left behind ends when the file system answers.
func stat(path string) (os.FileInfo, error) {
	type answer struct {
		info os.FileInfo
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		info, err := os.Stat(path)
		answers <- answer{info, err}
	}()
	t := time.NewTimer(statPatience)
	defer t.Stop()
	select {
	case a := <-answers:
		return a.info, a.err
	case <-t.C:
		return nil, fmt.Errorf("%s: the file system has not answered for %s", path, statPatience)
	}
}
