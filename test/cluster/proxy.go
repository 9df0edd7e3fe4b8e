// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"

	"k8s.io/client-go/rest"
)

// Proxy relays TCP connections from a loopback address of its own to a target, and fails in the ways a network does.
type Proxy struct {
	target string
	addr   string

	mu          sync.Mutex
	listener    net.Listener // nil while refusing
	connections map[net.Conn]struct{}
	thawed      chan struct{} // closed while bytes may flow
	total       int
	relays      sync.WaitGroup
}

// NewProxy starts a proxy to target (host:port, or a URL with one).
func NewProxy(target string) (*Proxy, error) {
	if _, rest, found := strings.Cut(target, "://"); found {
		target, _, _ = strings.Cut(rest, "/")
	}
	p := &Proxy{target: target, connections: map[net.Conn]struct{}{}, thawed: make(chan struct{})}
	close(p.thawed)
	listener, err := listenBelowEphemeral()
	if err != nil {
		return nil, err
	}
	p.addr = listener.Addr().String()
	p.serve(listener)
	return p, nil
}

// Addr is the proxy's host:port; it stays the same for its life.
func (p *Proxy) Addr() string { return p.addr }

// Config is a copy of config that goes through the proxy.
func (p *Proxy) Config(config *rest.Config) *rest.Config {
	through := rest.CopyConfig(config)
	through.Host = "https://" + p.addr
	return through
}

// Connections is how many connections the proxy has accepted so far.
func (p *Proxy) Connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.total
}

// Cut breaks all present connections; new ones are served.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut()
}

func (p *Proxy) cut() {
	for connection := range p.connections {
		_ = connection.Close()
	}
}

// Refuse breaks all connections and refuses new ones until Resume.
func (p *Proxy) Refuse() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != nil {
		_ = p.listener.Close()
		p.listener = nil
	}
	p.cut()
}

// Freeze keeps connections open and accepts new ones, but lets no byte through until Resume.
func (p *Proxy) Freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.thawed:
		p.thawed = make(chan struct{})
	default: // already frozen
	}
}

// Resume ends Freeze and Refuse.
func (p *Proxy) Resume() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.thaw()
	if p.listener != nil {
		return nil
	}
	listener, err := net.Listen("tcp", p.addr)
	if err != nil {
		return fmt.Errorf("cannot listen on %s again: %w", p.addr, err)
	}
	p.serve(listener)
	return nil
}

func (p *Proxy) thaw() {
	select {
	case <-p.thawed:
	default:
		close(p.thawed)
	}
}

// Close ends the proxy and its connections.
func (p *Proxy) Close() {
	p.Refuse()
	p.mu.Lock()
	p.thaw()
	p.mu.Unlock()
	p.relays.Wait()
}

// serve is called before the proxy is shared or with the lock held.
func (p *Proxy) serve(listener net.Listener) {
	p.listener = listener
	p.relays.Go(func() {
		for {
			client, err := listener.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				p.relays.Go(func() { p.relay(listener, client) })
			}
		}
	})
}

func (p *Proxy) relay(listener net.Listener, client net.Conn) {
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		_ = client.Close()
		return
	}
	p.mu.Lock()
	refusing := p.listener != listener
	if !refusing {
		p.connections[client], p.connections[server] = struct{}{}, struct{}{}
		p.total++
	}
	p.mu.Unlock()
	closeBoth := func() {
		_, _ = client.Close(), server.Close()
	}
	if refusing {
		closeBoth()
		return
	}
	var directions sync.WaitGroup
	directions.Go(func() { p.copy(server, client); closeBoth() })
	directions.Go(func() { p.copy(client, server); closeBoth() })
	directions.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.connections, client)
	delete(p.connections, server)
}

// copy moves bytes while the proxy is not frozen, until either side is closed.
func (p *Proxy) copy(to io.Writer, from io.Reader) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		p.mu.Lock()
		thawed := p.thawed
		p.mu.Unlock()
		<-thawed
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
