package stf

import (
	"fmt"
	"reflect"
	"strings"
)

// Place is where a value lies among several columns of one name: which of them, and where in it.
type Place struct{ Column, Index int32 }

// Gather makes a column of the values at the places, of the type that all the columns have.
func Gather(columns []any, places []Place) (any, error) {
	if len(columns) == 0 {
		return nil, fmt.Errorf("gathering %d values of no column", len(places))
	}
	t := typeOf(columns[0])
	for _, c := range columns {
		if other := typeOf(c); other == nil || other != t {
			return nil, fmt.Errorf("gathering values of the types %T and %T", columns[0], c)
		}
	}
	return t.gather(columns, places), nil
}

// number is what a column may hold.
type number interface {
	int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64 | float32 | float64
}

// columnType does what needs to know the type of a column's values. Columns are []T, what trees read and write is *[]T.
type columnType interface {
	pointer() any
	value(p any) any
	// set points to the values; false if they are of another type.
	set(p, values any) bool
	len(values any) int
	bytes() int
	append(values, more any) any
	gather(columns []any, places []Place) any
}

// columnTypes are all that pass through, by the name of their values.
var columnTypes = map[string]columnType{
	"int8": columnOf[int8]{}, "int16": columnOf[int16]{}, "int32": columnOf[int32]{}, "int64": columnOf[int64]{},
	"uint8": columnOf[uint8]{}, "uint16": columnOf[uint16]{}, "uint32": columnOf[uint32]{}, "uint64": columnOf[uint64]{},
	"float32": columnOf[float32]{}, "float64": columnOf[float64]{},
}

// typeOf is nil when no file can hold such values.
func typeOf(values any) columnType {
	if t := reflect.TypeOf(values); t != nil && t.Kind() == reflect.Slice {
		return columnTypes[t.Elem().String()]
	}
	return nil
}

// typeNamed is that of a leaf, nil for one that does not pass through.
func typeNamed(leaf string) columnType { return columnTypes[strings.TrimPrefix(leaf, "[]")] }

type columnOf[T number] struct{}

func (columnOf[T]) pointer() any       { return new([]T) }
func (columnOf[T]) value(p any) any    { return *p.(*[]T) }
func (columnOf[T]) len(values any) int { return len(values.([]T)) }
func (columnOf[T]) bytes() int         { return int(reflect.TypeFor[T]().Size()) }

func (columnOf[T]) set(p, values any) bool {
	q, same := p.(*[]T)
	v, ok := values.([]T)
	if same && ok {
		*q = v
	}
	return same && ok
}

func (columnOf[T]) append(values, more any) any {
	v, _ := values.([]T) // none yet
	return append(v, more.([]T)...)
}

func (columnOf[T]) gather(columns []any, places []Place) any {
	out := make([]T, len(places))
	if len(columns) == 1 {
		c := columns[0].([]T)
		for i, p := range places {
			out[i] = c[p.Index]
		}
		return out
	}
	for i, p := range places {
		out[i] = columns[p.Column].([]T)[p.Index]
	}
	return out
}
