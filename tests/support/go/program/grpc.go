//go:build grpc
// +build grpc

package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
)

const name = "x-request-id"

// Has gRPC carry the requests, which is found in GOPATH: each is a call of its service for health checks.
func init() {
	serveOn = func(listener net.Listener, certificate, key string) error {
		transport, err := credentials.NewServerTLSFromFile(certificate, key)
		check(err)
		noting := &noting{Listener: listener}
		server := grpc.NewServer(grpc.Creds(transport))
		grpc_health_v1.RegisterHealthServer(server, &health{accepted: noting})
		return server.Serve(noting)
	}
	connect = func(url, _ string) asker {
		return &grpcAsker{address: strings.TrimSuffix(strings.TrimPrefix(url, "https://"), "/")}
	}
}

// Notes the local addresses of connections, which gRPC does not tell.
type noting struct {
	net.Listener
	locals sync.Map
}

func (l *noting) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		l.locals.Store(conn.RemoteAddr().String(), conn.LocalAddr())
	}
	return conn, err
}

type health struct {
	grpc_health_v1.UnimplementedHealthServer
	accepted *noting
}

func (h *health) Check(ctx context.Context, request *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	deep(2048)
	received, _ := metadata.FromIncomingContext(ctx)
	id := received.Get(name)[0]
	from, _ := peer.FromContext(ctx)
	local, _ := h.accepted.locals.Load(from.Addr.String())
	say("served %s %s %s", id, words(local.(net.Addr)), words(from.Addr))
	check(grpc.SetHeader(ctx, metadata.Pairs(name, id)))
	return &grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_SERVING}, nil
}

type grpcAsker struct {
	address string
	conn    *grpc.ClientConn
	used    net.Conn
}

// Connects with the first request.
func (a *grpcAsker) connect() {
	dial := func(ctx context.Context, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err == nil {
			conn = wrap(conn)
			a.used = conn
		}
		return conn, err
	}
	transport := credentials.NewTLS(&tls.Config{InsecureSkipVerify: true})
	conn, err := grpc.Dial(a.address, grpc.WithTransportCredentials(transport), grpc.WithContextDialer(dial), grpc.WithBlock())
	check(err)
	a.conn = conn
}

func (a *grpcAsker) close() { check(a.conn.Close()) }

func (a *grpcAsker) ask(id string, logs bool) {
	if a.conn == nil {
		a.connect()
	}
	ctx := metadata.AppendToOutgoingContext(context.Background(), name, id)
	var answered metadata.MD
	client := grpc_health_v1.NewHealthClient(a.conn)
	response, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{}, grpc.Header(&answered))
	check(err)
	if response.Status != grpc_health_v1.HealthCheckResponse_SERVING || strings.Join(answered.Get(name), "") != id {
		check(fmt.Errorf("%s was answered with %v", id, response))
	}
	if logs {
		say("asked %s %s %s", id, words(a.used.LocalAddr()), words(a.used.RemoteAddr()))
	}
}
