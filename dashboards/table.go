// SPDX-License-Identifier: Apache-2.0

package dashboards

import "slices"

// column is a column of a table: a label if it has no query, else the values of a query.
type column struct {
	label    string // of the samples
	title    string
	expr     string
	unit     string
	mappings []object
	colors   object // thresholds; cells are coloured by them or by the mappings
	link     []object
	brings   []string // labels that only this query has
	hidden   bool     // asked for the labels only
	sparse   bool     // finds nothing while all is well, although others of the table find something
}

func label(name, title string) column { return column{label: name, title: title} }

func value(title, unit, expr string) column { return column{title: title, unit: unit, expr: expr} }

// verdict is a column of words.
func verdict(title string, words []object, expr string) column {
	return column{title: title, unit: "short", expr: expr, mappings: words}
}

// colored colours the cells of a column.
func (c column) colored(colors object) column {
	c.colors = colors
	return c
}

// bringing says that the query has labels that the others of its table do not have.
func (c column) bringing(labels ...string) column {
	c.brings = labels
	return c
}

// bringer is no column: a query that only brings labels, to columns of theirs.
func bringer(expr string, labels ...string) column {
	return column{expr: expr, brings: labels, hidden: true}
}

// sparsely is for a query that finds nothing while all is well.
func (c column) sparsely() column {
	c.sparse = true
	return c
}

// age is a column of moments, given in Unix seconds, that reads "2 hours ago".
func age(title, expr string) column { return value(title, "dateTimeFromNow", "1000 * ("+expr+")") }

// table shows what is now, one row for each set of labels; all its queries have the labels in common. It is sorted by the
// column of the given title, the highest value first.
func table(id int, title, description, sortBy string, columns ...column) panel {
	p := panel{
		id: id, title: title, description: description, kind: "table", width: 24, height: 9,
		defaults: object{"unit": "short", "custom": object{"filterable": true, "align": "auto"}},
		options: object{
			"cellHeight": "sm", "showHeader": true, "sortBy": []object{{"displayName": sortBy, "desc": true}},
		},
	}
	var labels []string
	queries := 0
	for _, c := range columns {
		switch {
		case c.expr != "":
			queries++
		case !slices.ContainsFunc(columns, func(o column) bool { return slices.Contains(o.brings, c.label) }):
			labels = append(labels, c.label)
		}
	}
	order, titles, excluded := object{}, object{}, object{"Time": true, "__name__": true}
	for i, c := range columns {
		field := c.label
		if c.expr != "" {
			field = "Value"
			if queries > 1 {
				field += " #" + refID(len(p.targets))
			}
			p.targets = append(p.targets, target{expr: c.expr, instant: true, sparse: c.sparse, labels: slices.Concat(labels, c.brings)})
		}
		if c.hidden {
			excluded[field] = true
			continue
		}
		order[field], titles[field] = i, c.title
		p.overrides = append(p.overrides, byName(c.title, c.properties()))
	}
	p.transformations = []object{
		{"id": "merge", "options": object{}},
		{"id": "organize", "options": object{
			"excludeByName": excluded, "indexByName": order, "renameByName": titles,
		}},
	}
	return p
}

// lowestFirst turns the order round.
func (p panel) lowestFirst() panel {
	p.options["sortBy"].([]object)[0]["desc"] = false
	return p
}

func (c column) properties() object {
	properties := object{"noValue": "-"} // of a cell; what the panel says when it is empty is another matter
	if c.expr != "" {
		properties["unit"] = c.unit
	}
	if c.mappings != nil {
		properties["mappings"] = c.mappings
	}
	if c.colors != nil {
		properties["thresholds"] = c.colors
	}
	if c.mappings != nil || c.colors != nil {
		properties["custom.cellOptions"] = object{"type": "color-background", "mode": "basic"}
	}
	if c.link != nil {
		properties["links"] = c.link
	}
	return properties
}
