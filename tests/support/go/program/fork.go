//go:build utls
// +build utls

package main

import (
	"net"
	"net/http"
	"sync/atomic"

	"github.com/refraction-networking/utls"
)

// Has a copy of Go's TLS speak it, which is found in GOPATH. Every other client says that it is a browser: its connection is
// one of another type.
func init() {
	serveOn = func(listener net.Listener, certificate, key string) error {
		pair, err := tls.LoadX509KeyPair(certificate, key)
		check(err)
		config := &tls.Config{Certificates: []tls.Certificate{pair}}
		return http.Serve(tls.NewListener(listener, config), http.HandlerFunc(answer))
	}
	var dialled uint64
	dialTLS = func(conn net.Conn) (net.Conn, error) {
		config := &tls.Config{InsecureSkipVerify: true, ServerName: "localhost"}
		if atomic.AddUint64(&dialled, 1)%2 == 0 {
			return tls.Client(conn, config), nil
		}
		browser := tls.UClient(conn, config, tls.HelloFirefox_Auto)
		return browser, browser.Handshake()
	}
}
