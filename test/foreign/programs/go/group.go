package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Consumes a topic in a group until SIGTERM, then leaves. Prints "+ P,P" when partitions are assigned and "P O" for each record
// handled, before its offset is committed.
func group(bootstrap, topic, name, protocol string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	options := []kgo.Opt{
		kgo.SeedBrokers(bootstrap),
		kgo.ConsumeTopics(topic),
		kgo.ConsumerGroup(name),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll(),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, assigned map[string][]int32) {
			partitions := []string{}
			for _, partition := range assigned[topic] {
				partitions = append(partitions, strconv.Itoa(int(partition)))
			}
			fmt.Printf("+ %s\n", strings.Join(partitions, ","))
		}),
	}
	switch protocol {
	case "eager":
		options = append(options, kgo.Balancers(kgo.RangeBalancer()))
	case "cooperative":
		options = append(options, kgo.Balancers(kgo.CooperativeStickyBalancer()))
	case "consumer":
		options = append(options, kgo.Balancers(kgo.StickyBalancer()), kgo.ServerSideBalancer())
	}
	if protocol != "consumer" {
		options = append(options, kgo.SessionTimeout(6*time.Second), kgo.HeartbeatInterval(time.Second))
	}
	client, err := kgo.NewClient(options...)
	if err != nil {
		return err
	}
	defer client.CloseAllowingRebalance()
	for ctx.Err() == nil {
		fetches := client.PollFetches(ctx)
		fetches.EachError(func(_ string, _ int32, err error) {
			if ctx.Err() == nil {
				fmt.Fprintln(os.Stderr, err)
			}
		})
		records := fetches.Records()
		for _, record := range records {
			fmt.Printf("%d %d\n", record.Partition, record.Offset)
		}
		if len(records) > 0 {
			// What cannot be committed is handled again by whoever has the partition then.
			committing, done := context.WithTimeout(context.Background(), 5*time.Second)
			if err := client.CommitRecords(committing, records...); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
			done()
		}
		client.AllowRebalance()
	}
	return nil
}
