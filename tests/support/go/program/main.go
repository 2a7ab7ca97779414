// A server or a client of TLS that logs its exchanges.
//
//	serve CERTIFICATE KEY         HTTP/1.1 and HTTP/2, on every address; its port is in the line `port N`
//	ask URL CONNECTIONS REQUESTS PROTOCOL     that many requests on each of that many connections, over `h1` or `h2`;
//	                                          with 0 requests, until stdin ends
//
// Connections are wrapped as the environment variable WRAP says.
//
// It prints `up`, and begins at the first line on stdin. A client warms up before, with one request on each connection, if
// there is a further argument; those it does not log. It ends when stdin does. It writes a profile of its use of the CPU to
// the file that the environment variable PROFILE names.
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"io/ioutil"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
)

var output sync.Mutex

func say(format string, arguments ...interface{}) {
	output.Lock()
	defer output.Unlock()
	fmt.Printf(format+"\n", arguments...)
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Splits an address as the logs of the other programs do.
func words(address net.Addr) string {
	host, port, err := net.SplitHostPort(address.String())
	check(err)
	return host + " " + port
}

// Uses so much of the stack that the runtime moves it.
func deep(depth int) byte {
	var room [512]byte
	if depth > 0 {
		room[depth%len(room)] = deep(depth - 1)
	}
	return room[depth%len(room)]
}

func answer(writer http.ResponseWriter, request *http.Request) {
	deep(64)
	_, err := io.Copy(ioutil.Discard, request.Body)
	check(err)
	deep(2048)
	id := request.Header.Get("X-Request-Id")
	if !strings.HasPrefix(id, "warm") {
		local := request.Context().Value(http.LocalAddrContextKey).(net.Addr)
		remote, err := net.ResolveTCPAddr("tcp", request.RemoteAddr)
		check(err)
		say("served %s %s %s", id, words(local), words(remote))
	}
	writer.Header().Set("X-Request-Id", id)
	_, err = io.WriteString(writer, "small\n")
	check(err)
}

func serve(certificate, key string) {
	listener, err := net.Listen("tcp", ":0")
	check(err)
	say("port %d", listener.Addr().(*net.TCPAddr).Port)
	check(serveOn(wrapping{listener}, certificate, key))
}

// What a program that is built with a tag does in another way.
var (
	serveOn = func(listener net.Listener, certificate, key string) error {
		return http.ServeTLS(listener, http.HandlerFunc(answer), certificate, key)
	}
	connect = connectHTTP
	dialTLS func(conn net.Conn) (net.Conn, error)
)

// Sends requests over a connection of its own.
type asker interface {
	ask(id string, logs bool)
	close()
}

type httpAsker struct {
	client *http.Client
	url    string
}

func (a *httpAsker) close() { a.client.CloseIdleConnections() }

// The root is answered by this program; of other servers nothing is expected.
func (a *httpAsker) ask(id string, logs bool) {
	method, content := "GET", ""
	echoes := strings.HasSuffix(a.url, "/")
	if echoes {
		method, content = "POST", "body"
	}
	request, err := http.NewRequest(method, a.url, strings.NewReader(content))
	check(err)
	request.Header.Set("X-Request-Id", id)
	var used net.Conn
	trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { used = info.Conn }}
	response, err := a.client.Do(request.WithContext(httptrace.WithClientTrace(request.Context(), trace)))
	check(err)
	body, err := ioutil.ReadAll(response.Body)
	check(err)
	check(response.Body.Close())
	if echoes && (string(body) != "small\n" || response.Header.Get("X-Request-Id") != id) {
		check(fmt.Errorf("%s was answered with %q", id, body))
	}
	if logs {
		say("asked %s %s %s", id, words(used.LocalAddr()), words(used.RemoteAddr()))
	}
}

func number(text string) int {
	value, err := strconv.Atoi(text)
	check(err)
	return value
}

func connectHTTP(url, protocol string) asker {
	dialer := net.Dialer{}
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return wrap(conn), nil
	}
	transport := &http.Transport{
		DialContext:        dial,
		TLSClientConfig:    &tls.Config{InsecureSkipVerify: true},
		DisableCompression: true,
		ForceAttemptHTTP2:  protocol == "h2",
	}
	if dialTLS != nil {
		transport.DialTLSContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dial(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return dialTLS(conn)
		}
	}
	return &httpAsker{&http.Client{Transport: transport}, url}
}

func all(clients []asker, each func(int, asker)) {
	var group sync.WaitGroup
	for index, client := range clients {
		group.Add(1)
		go func(index int, client asker) {
			defer group.Done()
			each(index, client)
		}(index, client)
	}
	group.Wait()
}

// Waits for the end of stdin.
func wait(input io.Reader, ended chan struct{}) {
	_, _ = io.Copy(ioutil.Discard, input)
	close(ended)
}

func isClosed(ended chan struct{}) bool {
	select {
	case <-ended:
		return true
	default:
		return false
	}
}

func main() {
	input := bufio.NewReader(os.Stdin)
	begin := func() {
		say("up")
		_, err := input.ReadString('\n')
		check(err)
	}
	if path := os.Getenv("PROFILE"); path != "" {
		file, err := os.Create(path)
		check(err)
		check(pprof.StartCPUProfile(file))
		defer pprof.StopCPUProfile()
	}
	ended := make(chan struct{})
	arguments := os.Args[1:]
	if arguments[0] == "serve" {
		begin()
		go serve(arguments[1], arguments[2])
		go wait(input, ended)
	} else {
		url, requests := arguments[1], number(arguments[3])
		var clients []asker
		for index := 0; index < number(arguments[2]); index++ {
			clients = append(clients, connect(url, arguments[4]))
		}
		if len(arguments) > 5 {
			all(clients, func(index int, client asker) { client.ask(fmt.Sprintf("warm-%d", index), false) })
		}
		begin()
		go wait(input, ended)
		all(clients, func(index int, client asker) {
			for request := 0; request < requests || requests == 0 && !isClosed(ended); request++ {
				client.ask(fmt.Sprintf("%s-%d-%d-%d", arguments[4], os.Getpid(), index, request), true)
			}
			client.close()
		})
		say("done")
	}
	<-ended
}
