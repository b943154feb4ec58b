package top

import (
	"context"
	"time"

	tea "charm.land/bubbletea/v2"

	"tfpilot/internal/document"
)

// model is the screen for bubbletea.
type model struct {
	State

	ask func() tea.Msg // asks for the workers
}

func newModel(ctx context.Context, idds Source, cfg Config) model {
	m := model{State: State{Width: 80, Height: 24, Now: time.Now(), Colours: cfg.Colours, ASCII: cfg.ASCII}}
	m.ask = func() tea.Msg {
		list, err := idds.Workers(ctx)
		if err != nil {
			return nil // the stream says that idds is away
		}
		return workersNow(list)
	}
	return m
}

type (
	second     time.Time
	workersNow []document.Worker
)

// Init has nothing to begin with.
func (m model) Init() tea.Cmd { return nil }

// Update takes what has happened.
func (m model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.Width, m.Height = msg.Width, msg.Height
	case second:
		m.Now = time.Time(msg)
		if m.Pane == Workers && m.Now.Unix()%int64(workersEvery/time.Second) == 0 {
			return m, m.ask
		}
	case workersNow:
		m.Workers = msg
	case news:
		m.take(msg)
	case tea.KeyPressMsg:
		return m.key(msg)
	}
	return m, nil
}

func (m *model) take(n news) {
	if m.Now = time.Now(); n.board == nil {
		m.Why = n.why.Error()
		if m.Away.IsZero() {
			m.Away = m.Now
		}
		return
	}
	// The chosen run stays chosen when another one comes.
	if m.Board != nil && m.Run > 0 && m.Run < len(m.Board.Runs) {
		chosen := m.Board.Runs[m.Run].RunID
		for i := range n.board.Runs {
			if n.board.Runs[i].RunID == chosen {
				m.Run = i
			}
		}
	}
	m.Board, m.Away, m.Why = n.board, time.Time{}, ""
}

func (m model) key(k tea.KeyPressMsg) (tea.Model, tea.Cmd) {
	switch k.String() {
	case "q", "ctrl+c", "ctrl+d":
		return m, tea.Quit
	case "ctrl+z":
		return m, tea.Suspend
	case "up", "k":
		m.Run = max(0, m.Run-1)
	case "down", "j":
		if m.Board != nil {
			m.Run = max(0, min(m.Run+1, len(m.Board.Runs)-1))
		}
	case "f":
		m.Pane = Failures
	case "w":
		m.Pane = Workers
		return m, m.ask
	case "o", "esc":
		m.Pane = Overview
	case "?", "h":
		m.Pane = Help
	}
	return m, nil
}

// View is the screen.
func (m model) View() tea.View {
	v := tea.NewView(Screen(m.State))
	v.AltScreen = true
	return v
}
