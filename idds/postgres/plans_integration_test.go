//go:build integration

package postgres_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"tfpilot/idds/storetest"
)

func TestIntegrationAListIsReadFromAnIndexInItsOrder(t *testing.T) {
	t.Parallel()
	address := database(t)
	storetest.Fill(t, open(t, address))
	ask(t, address, "ANALYZE slice")
	cfg, err := pgx.ParseConfig(address)
	must(t, err)
	cfg.RuntimeParams["enable_seqscan"] = "off" // a thousand rows are read as quickly without an index
	n := 0
	storetest.Plans(t, stdlib.GetConnector(*cfg), "EXPLAIN ", func(query, plan string) {
		if !strings.Contains(query, "FROM slice ") {
			return
		}
		n++
		byNumber := strings.Contains(plan, "slice_pkey") && !strings.Contains(query, "WHERE id IN")
		endless := strings.Contains(plan, "<= ROW")                                      // of several columns the server knows only the beginning
		sorted := strings.Contains(plan, "Sort") && !strings.Contains(query, "GROUP BY") // the ways to fail are few
		if endless || strings.Contains(plan, "Seq Scan") || sorted || byNumber {
			t.Errorf("%s\n%s", query, plan)
		}
	})
	if n < 20 {
		t.Errorf("%d queries", n)
	}
}
