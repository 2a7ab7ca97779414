package main

import (
	"bufio"
	"io"
	"io/ioutil"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// As the connections of a listener that limits their number (golang.org/x/net/netutil).
type limited struct {
	net.Conn
	once    sync.Once
	release func()
}

func (c *limited) Close() error {
	err := c.Conn.Close()
	c.once.Do(c.release)
	return err
}

// A value, and not a pointer to one.
type labelled struct {
	label string
	net.Conn
}

type closer interface {
	net.Conn
	CloseWrite() error
}

// As the connections of Traefik: what is embedded has more methods than any connection.
type peeked struct {
	peeked []byte
	closer
}

// A connection in a field with a name.
type forwarding struct{ conn net.Conn }

func (c *forwarding) Close() error                       { return c.conn.Close() }
func (c *forwarding) LocalAddr() net.Addr                { return c.conn.LocalAddr() }
func (c *forwarding) RemoteAddr() net.Addr               { return c.conn.RemoteAddr() }
func (c *forwarding) SetDeadline(t time.Time) error      { return c.conn.SetDeadline(t) }
func (c *forwarding) SetReadDeadline(t time.Time) error  { return c.conn.SetReadDeadline(t) }
func (c *forwarding) SetWriteDeadline(t time.Time) error { return c.conn.SetWriteDeadline(t) }

// As the connections of a listener of the PROXY protocol. Before each write something else is sent, which looks like a
// record, over a connection that is no part of this one.
type named struct {
	forwarding
	reader *bufio.Reader
	other  net.Conn
}

func (c *named) Read(b []byte) (int, error) { return c.reader.Read(b) }
func (c *named) Write(b []byte) (int, error) {
	_, err := c.other.Write([]byte("\x17\x03\x03\x00\x10sixteen bytes ..a line of a log\n"))
	check(err)
	return c.conn.Write(b)
}

// Another goroutine writes.
type handed struct {
	forwarding
	written chan []byte
	results chan error
}

func (c *handed) Read(b []byte) (int, error) { return c.conn.Read(b) }
func (c *handed) Write(b []byte) (int, error) {
	c.written <- b
	return len(b), <-c.results
}

func (c *handed) write() {
	for b := range c.written {
		_, err := c.conn.Write(b)
		c.results <- err
	}
}

// Connects to a reader that discards everything.
func sink() net.Conn {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	go func() {
		accepted, err := listener.Accept()
		check(err)
		_, _ = io.Copy(ioutil.Discard, accepted)
	}()
	connected, err := net.Dial("tcp", listener.Addr().String())
	check(err)
	return connected
}

var (
	other     net.Conn
	connected sync.Once
	wrapped   uint64
)

// Wraps a connection as the environment says: each in another way, or so that another goroutine writes.
func wrap(conn net.Conn) net.Conn {
	switch os.Getenv("WRAP") {
	case "each":
	case "handed":
		wrapper := &handed{forwarding{conn}, make(chan []byte), make(chan error)}
		go wrapper.write()
		return wrapper
	default:
		return conn
	}
	switch atomic.AddUint64(&wrapped, 1) % 5 {
	case 0:
		return &limited{Conn: conn, release: func() {}}
	case 1:
		return labelled{"outer", &limited{Conn: labelled{"inner", conn}, release: func() {}}}
	case 2:
		return &peeked{nil, conn.(closer)}
	case 3:
		connected.Do(func() { other = sink() })
		return &named{forwarding{conn}, bufio.NewReader(conn), other}
	default:
		return conn
	}
}

type wrapping struct{ net.Listener }

func (l wrapping) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return wrap(conn), nil
}
