// Sends standard input, or writes a topic to standard output, with franz-go.
//
//	franz-go produce BOOTSTRAP TOPIC COMPRESSION
//	franz-go consume BOOTSTRAP TOPIC END,END,...   the offset after the last record, per partition
//	franz-go group BOOTSTRAP TOPIC GROUP eager|cooperative|consumer
package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kgo"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 4 && args[0] == "produce":
		return produce(args[1], args[2], args[3])
	case len(args) == 4 && args[0] == "consume":
		return consume(args[1], args[2], args[3])
	case len(args) == 5 && args[0] == "group":
		return group(args[1], args[2], args[3], args[4])
	}
	return errors.New("usage: franz-go produce|consume|group BOOTSTRAP TOPIC COMPRESSION|ENDS|GROUP PROTOCOL")
}

func codec(name string) kgo.CompressionCodec {
	return map[string]kgo.CompressionCodec{
		"none":   kgo.NoCompression(),
		"gzip":   kgo.GzipCompression(),
		"snappy": kgo.SnappyCompression(),
		"lz4":    kgo.Lz4Compression(),
		"zstd":   kgo.ZstdCompression(),
	}[name]
}

func produce(bootstrap, topic, compression string) error {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(bootstrap),
		kgo.DefaultProduceTopic(topic),
		kgo.ProducerBatchCompression(codec(compression)),
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)),
	)
	if err != nil {
		return err
	}
	defer client.Close()
	var failure atomic.Pointer[error]
	input := bufio.NewReaderSize(os.Stdin, 1<<20)
	for {
		line, err := input.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		key, value, _ := bytes.Cut(line[:len(line)-1], []byte{'\t'})
		client.Produce(context.Background(), kgo.KeySliceRecord(key, value), func(_ *kgo.Record, err error) {
			if err != nil {
				failure.CompareAndSwap(nil, &err)
			}
		})
	}
	if err := client.Flush(context.Background()); err != nil {
		return err
	}
	if err := failure.Load(); err != nil {
		return *err
	}
	return nil
}

func consume(bootstrap, topic, ends string) error {
	missing := map[int32]int64{}
	starts := map[int32]kgo.Offset{}
	for partition, text := range strings.Split(ends, ",") {
		end, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return err
		}
		if end > 0 {
			missing[int32(partition)] = end
			starts[int32(partition)] = kgo.NewOffset().AtStart()
		}
	}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(bootstrap),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: starts}),
	)
	if err != nil {
		return err
	}
	defer client.Close()
	output := bufio.NewWriterSize(os.Stdout, 1<<20)
	for len(missing) > 0 {
		fetches := client.PollFetches(context.Background())
		if err := fetches.Err(); err != nil {
			return err
		}
		fetches.EachRecord(func(record *kgo.Record) {
			fmt.Fprintf(output, "%d\t%d\t%s\t%s\n", record.Partition, record.Offset, record.Key, record.Value)
			if end, ok := missing[record.Partition]; ok && record.Offset+1 >= end {
				delete(missing, record.Partition)
			}
		})
	}
	return output.Flush()
}
