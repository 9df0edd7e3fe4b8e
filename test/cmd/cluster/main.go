// SPDX-License-Identifier: Apache-2.0

// Command cluster starts and stops a Kubernetes cluster for trying things by hand: "up" leaves it running in the
// background and prints how to reach it, "down" stops it. There is one such cluster for each directory.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"stability-exporter/test/cluster"
)

const usage = `usage: cluster [flags] build|up|down

build  builds the programs of the control plane into the cache, several minutes the first time
up     starts a cluster in the background, unless it is running, and prints KUBECONFIG=path and KUBECTL=path
down   stops it

flags:
`

// settings are the command's flags.
type settings struct {
	dir   string
	nodes int
	zones string
}

func main() {
	var s settings
	flags := flag.NewFlagSet("cluster", flag.ExitOnError)
	flags.StringVar(&s.dir, "dir", filepath.Join(os.TempDir(), fmt.Sprintf("stability-cluster-%d", os.Getuid())),
		"directory of the cluster's data, logs, kubeconfigs and state file")
	flags.IntVar(&s.nodes, "nodes", 3, "number of nodes that up creates")
	flags.StringVar(&s.zones, "zones", "zone-a,zone-b,zone-c", "comma-separated zones of the nodes")
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage)
		flags.PrintDefaults()
	}
	_ = flags.Parse(os.Args[1:]) // ExitOnError
	if flags.NArg() != 1 {
		flags.Usage()
		os.Exit(2)
	}
	if err := run(flags.Arg(0), s); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(command string, s settings) error {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	switch command {
	case "build":
		_, err := cluster.Binaries(ctx, os.Stderr)
		return err
	case "up":
		return up(ctx, s)
	case "down":
		return down(ctx, s.dir)
	case "hold": // not for people: the process in the background that up leaves
		return hold(ctx, s)
	}
	return fmt.Errorf("unknown command %q, use build, up or down", command)
}

// up starts this program again as a process of its own, which holds the cluster, and waits until that is ready.
func up(ctx context.Context, s settings) error {
	running, found, err := readState(s.dir)
	if err != nil {
		return err
	}
	if found && running.alive() {
		running.print()
		return nil
	}
	if _, err := cluster.Binaries(ctx, os.Stderr); err != nil {
		return err
	}
	if err := clear(s.dir); err != nil {
		return err
	}
	holder, logPath, err := startHolder(s)
	if err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		_ = holder.Wait() // why it ended stands in its log
		close(ended)
	}()
	err = cluster.Await(ctx, 5*time.Minute, "the cluster to be up", func(context.Context) (bool, error) {
		select {
		case <-ended:
			log, _ := os.ReadFile(logPath)
			return false, fmt.Errorf("it ended: %s", log)
		default:
		}
		running, found, err = readState(s.dir)
		return found, err
	})
	if err != nil {
		_ = holder.Process.Kill() // its components end with it
		return err
	}
	running.print()
	return nil
}

func startHolder(s settings) (*exec.Cmd, string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, "", fmt.Errorf("cannot find this program: %w", err)
	}
	logPath := filepath.Join(s.dir, "holder.log")
	log, err := os.Create(logPath)
	if err != nil {
		return nil, "", fmt.Errorf("cannot create the log: %w", err)
	}
	defer func() { _ = log.Close() }()
	holder := exec.Command(self, "-dir", s.dir, "-nodes", fmt.Sprint(s.nodes), "-zones", s.zones, "hold")
	holder.Stdout, holder.Stderr = log, log
	holder.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := holder.Start(); err != nil {
		return nil, "", fmt.Errorf("cannot start the cluster's process: %w", err)
	}
	return holder, logPath, nil
}

// clear empties a directory that an earlier cluster left, and refuses one with anything else in it.
func clear(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("cannot read the cluster's directory: %w", err)
	}
	if len(entries) > 0 {
		if _, err := os.Stat(filepath.Join(dir, "holder.log")); err != nil {
			return fmt.Errorf("directory %s is not empty and not a cluster's: name another with -dir", dir)
		}
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("cannot remove what an earlier cluster left: %w", err)
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("cannot create the cluster's directory: %w", err)
	}
	return nil
}

// hold runs the cluster until it is told to end.
func hold(ctx context.Context, s settings) error {
	c, err := cluster.Start(ctx, cluster.Options{Dir: s.dir})
	if err != nil {
		return err
	}
	defer c.Stop()
	var zones []string
	if s.zones != "" {
		zones = strings.Split(s.zones, ",")
	}
	if _, err := c.Nodes(ctx, s.nodes, zones...); err != nil {
		return err
	}
	kubeconfig, err := c.Kubeconfig(cluster.Admin)
	if err != nil {
		return err
	}
	if err := writeState(s.dir, kubeconfig, c.Kubectl()); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// down ends the process that holds the cluster, after making sure that it is still that process.
func down(ctx context.Context, dir string) error {
	running, found, err := readState(dir)
	if err != nil {
		return err
	}
	if !found || !running.alive() {
		fmt.Println("no cluster is running in", dir)
		return nil
	}
	if err := syscall.Kill(running.PID, syscall.SIGTERM); err != nil {
		return fmt.Errorf("cannot end process %d: %w", running.PID, err)
	}
	err = cluster.Await(ctx, time.Minute, "the cluster to end", func(context.Context) (bool, error) {
		return !running.alive(), nil
	})
	if err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("cannot remove the cluster's directory: %w", err)
	}
	return nil
}
